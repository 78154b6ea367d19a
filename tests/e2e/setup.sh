# Accounts alice and bob (in group banger, the policy allows them), carol (not in
# the group), dave (in the group, the policy denies him), erin (new); alice pulls image and
# kernel for real, bob starts from a copy of her store.
# shellcheck shell=bash

# What the accounts run themselves: this tree may lie where only its owner comes.
install -m 0644 tests/e2e/import.py tests/e2e/replace.py "$WORLD/"

# as ACCOUNT COMMAND...: in the world's network. outside ACCOUNT COMMAND...: in
# the machine's, for what needs Debian's mirror.
as() {
    local account=$1
    shift
    (cd "/home/$account" && exec runuser -u "$account" -- env -i HOME="/home/$account" USER="$account" LANG=C.UTF-8 TERM=xterm \
        PATH=/usr/local/bin:/usr/bin:/bin ${BANGER_DEBIAN_MIRROR:+BANGER_DEBIAN_MIRROR="$BANGER_DEBIAN_MIRROR"} "$@")
}
outside() {
    local account=$1
    shift
    (cd "/home/$account" && exec nsenter --net="$WORLD_HOST_NET" runuser -u "$account" -- env -i HOME="/home/$account" USER="$account" \
        LANG=C.UTF-8 PATH=/usr/local/bin:/usr/bin:/bin ${BANGER_DEBIAN_MIRROR:+BANGER_DEBIAN_MIRROR="$BANGER_DEBIAN_MIRROR"} "$@")
}
# start ACCOUNT COMMAND...: in the background; `client` is the command's own pid
# (runuser would stay in between), and SIGINT is not ignored as a shell's background
# jobs have it.
start() {
    local account=$1
    shift
    (cd "/home/$account" && exec setpriv --reuid "$account" --regid "$account" --init-groups env -i --default-signal=INT HOME="/home/$account" USER="$account" \
        LANG=C.UTF-8 PATH=/usr/local/bin:/usr/bin:/bin "$@") &
    client=$!
}
alice() { as alice banger "$@"; }
bob() { as bob banger "$@"; }
state() { echo "/home/$1/.local/state/banger"; }

# run_status COMMAND...: sets out, err and status.
status=0 err=
capture() {
    out=$("$@" 2>"$WORLD/err")
    status=$?
    err=$(cat "$WORLD/err")
}

# What an account has in the kernel: taps, bridges, VMM processes.
leftovers() {
    local uid
    uid=$(printf %08x "$(id -u "$1")")
    ip -o link | grep -oE "(bgr|bt)$uid[0-9a-f]*" | sort -u
    ps -u "$1" -o pid=,args= | grep -E 'qemu-system|banger-jail' | grep -v grep
    find "$(state "$1")/vms" -mindepth 1 -maxdepth 1 2>/dev/null
}
nothing_left() { [ -z "$(leftovers "$1")" ]; }

leave() {
    for account in alice bob dave; do
        as "$account" banger daemon stop >/dev/null 2>&1
    done
    # VMs outlive their daemon: end those that tests left, by pid.
    for account in alice bob; do
        ps -u "$account" -o pid=,args= | awk '/banger-jail|qemu-system|\/bangerd/ {print $1}' | xargs -r kill -9 2>/dev/null
    done
}
trap leave EXIT

uid=1501 # in the default policy's pool, whatever accounts the machine has
for account in alice bob carol dave erin; do
    useradd --uid $uid --create-home --shell /bin/bash "$account"
    uid=$((uid + 1))
done
for account in alice bob dave; do
    usermod --append --groups banger "$account"
done
echo "deny uid $(id -u dave)" >>/etc/banger/policy.conf
ln -sf /usr/share/zoneinfo/UTC /etc/localtime

# E2E_STORE=FOLDER: a store kept from an earlier run, to save the minute of the
# pull while working on the tests; made when it is not there.
if [ -n "${E2E_STORE:-}" ] && [ -d "$E2E_STORE" ]; then
    cp -a --sparse=always "$E2E_STORE/." /home/alice/
    chown -R alice: /home/alice
fi

alice daemon status >/dev/null || not_ok "daemon starts" "$(cat "$(state alice)/bangerd.log")"
started=$SECONDS
alice image show debian-bookworm >/dev/null 2>&1 || capture outside alice banger image pull debian-bookworm
equal "image pull debian-bookworm" "$status" 0
[ "$status" -eq 0 ] || { echo "$err"; summary; exit 1; }
[ -n "${E2E_STORE:-}" ] || contains "image pull shows its progress" "$err" "import"
alice kernel show debian-cloud >/dev/null 2>&1 || capture outside alice banger kernel pull debian-cloud
equal "kernel pull debian-cloud" "$status" 0
[ "$status" -eq 0 ] || { echo "$err"; summary; exit 1; }
echo "image and kernel in $((SECONDS - started)) s"
image_file=$(alice image show debian-bookworm --json | jq -r .path)
check "e2fsck has nothing to say of the image" e2fsck -fn "$image_file"
equal "image list --json names it" "$(alice image list --json | jq -r '.images[].name')" debian-bookworm
equal "kernel list --json names it" "$(alice kernel list --json | jq -r '.kernels[].name')" debian-cloud

alice daemon stop >/dev/null
if [ -n "${E2E_STORE:-}" ] && [ ! -d "$E2E_STORE" ]; then
    mkdir -p "$E2E_STORE"
    cp -a --sparse=always /home/alice/.local /home/alice/.cache "$E2E_STORE/"
fi
mkdir -p "$(state bob)"
cp -a --sparse=always "$(state alice)/images" "$(state alice)/kernels" "$(state alice)"/banger.db* "$(state bob)/"
cp -a /home/alice/.cache /home/bob/ # a kept store's kernel may need another agent
chown -R bob: /home/bob
