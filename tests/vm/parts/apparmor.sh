# AppArmor: the package's profile is in force on every process of the helper, all that
# banger does goes on under it, and what it does not name is denied, to root too.
# shellcheck shell=bash
profile=$(sed -n 's/ (enforce)$//p' /sys/kernel/security/apparmor/profiles | grep -x '.*usr[./]libexec[./]banger[./]banger-helper')
equal "the kernel has the package's profile, in enforce mode" "$(wc -w <<<"$profile")" 1
equal "no profile of banger's is only complaining" "$(grep -c 'banger.*(complain)' /sys/kernel/security/apparmor/profiles)" 0

journalctl --rotate >/dev/null 2>&1
dmesg --clear
capture ann vm create --quiet --name armed --memory 512M
equal "vm create under the profile" "$status" 0
helper=$(ann daemon status --json | jq -r .helper_pid)
[ "$helper" != null ] || helper=$(pgrep -u ann -o -f '^/usr/libexec/banger/banger-helper')
labels=$(for pid in $helper $(pgrep -P "$helper"); do cat "/proc/$pid/attr/current"; done | sort | uniq -c | tr -s ' ')
equal "the helper's four processes are under it" "$labels" " 4 $profile (enforce)"
equal "exec under the profile" "$(ann vm exec armed -- echo alive)" alive
ann vm delete -f armed >/dev/null
equal "and nothing that banger did was denied" "$(dmesg | grep -c 'apparmor="DENIED".*banger')" 0

# tries LABEL: root, with all capabilities, does in the profile what the helper never does.
tries() {
    python3 - "$1" <<'PY'
import os, socket, sys
label = sys.argv[1]
if label != "unconfined":
    with open("/proc/self/attr/current", "w") as f:
        f.write("changeprofile " + label)
def tried(name, action):
    try:
        action()
        print(name, "done")
    except OSError as e:
        print(name, e.strerror)
tried("shadow", lambda: open("/etc/shadow").close())
tried("home", lambda: os.listdir("/home/ann/.local"))
tried("passwd", lambda: os.close(os.open("/etc/passwd", os.O_WRONLY)))
tried("disk", lambda: os.close(os.open("/dev/vda", os.O_RDONLY)))
tried("memory", lambda: open("/proc/1/environ").close())
tried("shell", lambda: os.posix_spawn("/bin/sh", ["sh", "-c", "true"], {}))
tried("inet", lambda: socket.socket(socket.AF_INET, socket.SOCK_STREAM).close())
tried("raw", lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW).close())
tried("chown", lambda: os.chown("/tmp", 0, 0))
tried("signal", lambda: os.kill(1, 0))
tried("setuid", lambda: os.setuid(65534))
PY
}
outside=$(tries unconfined)
inside=$(tries "$profile" 2>&1)
for what in shadow home passwd disk memory shell inet raw setuid; do
    equal "control: without the profile root may: $what" "$(sed -n "s/^$what //p" <<<"$outside")" "done"
    equal "within it not even root may: $what" "$(sed -n "s/^$what //p" <<<"$inside" | sed 's/Operation not permitted/Permission denied/')" "Permission denied"
done
