/* Lines 11, 19, 24 and 26: what a VMM that was taken over finds in its jail. */
#include "attack.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static struct lab_helper h;
static struct machine m;
static pid_t vmm;
static const char *begin(void) {
    h = start_ready(ALICE);
    m = machine(&h, ALICE, 0);
    int r = spawn(&h, &m, 0);
    const char *says = machine_says(&m);
    if (r || !strstr(says, "ready\n"))
        give_up("no VM: %d %s", r, says);
    if (sscanf(content("/proc/%d/task/%d/children", m.pid, m.pid), "%d", &vmm) != 1)
        give_up("banger-jail has no child");
    return machine_says(&m);
}
static void end(void) {
    machine_end(&m);
    (void) ask_net(&h, WIRE_NET_DOWN, 0, 0);
    lab_end(&h);
}
static void has(const char *says, const char *line) {
    expect(strstr(says, line) != NULL, "not: %s\n%s", line, says);
}

static void files(void) {
    const char *says = begin();
    has(says, "open /proc/self/status read: No such file");
    has(says, "open /etc/passwd read: No such file");
    has(says, "open /etc/shadow read: No such file");
    has(says, "open /kernel read: possible");
    expect(!strstr(says, "write: possible\nopen /dev"), "it writes outside of /vm: %s", says);
    has(says, "open /new write: ");
    expect(!strstr(says, "open /new write: possible") && !strstr(says, "open /kernel write: possible") &&
               !strstr(says, "open /initrd write: possible"),
           "it writes outside of /vm: %s", says);
    has(says, "open /vm/new write: possible");
    has(says, "folder /vm: ");
    expect(!strstr(says, "folder /dev: .") || strstr(says, "folder /: "), "control");
    const char *root = strstr(says, "folder /:");
    static const char *const foreign[] = {" etc", " home", " proc", " sys", " root ", " var", " tmp", " run"};
    for (size_t i = 0; root && i < sizeof(foreign) / sizeof(foreign[0]); i++) {
        const char *at = strstr(root, foreign[i]);
        expect(!at || at > strchr(root, '\n'), "its root has%s", foreign[i]);
    }
    end();
}
static void mounts(void) {
    (void) begin();
    const char *info = content("/proc/%d/mountinfo", vmm);
    expect(strstr(info, " / / ") != NULL, "control: it has a root: %s", info);
    static const char *const foreign[] = {" /proc ", " /sys", " /run",    " /home",
                                          " /etc",   " /tmp", " - proc ", " - sysfs "};
    for (size_t i = 0; i < sizeof(foreign) / sizeof(foreign[0]); i++)
        expect(!strstr(info, foreign[i]), "it has%s: %s", foreign[i], info);
    char copy[8192];
    (void) snprintf(copy, sizeof(copy), "%s", info);
    for (char *state = NULL, *line = strtok_r(copy, "\n", &state); line; line = strtok_r(NULL, "\n", &state)) {
        char where[256] = "", options[256] = "";
        (void) sscanf(line, "%*s %*s %*s %*s %255s %255s", where, options);
        expect(strstr(options, "nosuid") != NULL, "%s is not nosuid", where);
        expect(strncmp(options, "ro", 2) == 0 || strcmp(where, "/vm") == 0, "%s is writable", where);
    }
    end();
}
static void spaces(void) {
    static const char *const names[] = {"mnt", "pid", "ipc", "uts", "cgroup", "net"};
    (void) begin();
    for (size_t i = 0; i < 6; i++) {
        char a[64] = "", b[64] = "", path[64];
        (void) snprintf(path, sizeof(path), "/proc/%d/ns/%s", vmm, names[i]);
        expect(readlink(path, a, sizeof(a) - 1) > 0, "cannot read %s", path);
        (void) snprintf(path, sizeof(path), "/proc/self/ns/%s", names[i]);
        (void) !readlink(path, b, sizeof(b) - 1);
        expect(strcmp(a, b) != 0, "it shares the host's %s namespace", names[i]);
    }
    expect(lab_try("test \"$(nsenter -t %d -n ip -o link | grep -vc ' lo:')\" = 0", vmm), "it has a network interface");
    end();
}
static void privileges(void) {
    (void) begin();
    pid_t both[] = {m.pid, vmm};
    for (int i = 0; i < 2; i++) {
        expect(status_hex(both[i], "CapPrm") == 0 && status_hex(both[i], "CapEff") == 0 &&
                   status_hex(both[i], "CapInh") == 0 && status_hex(both[i], "CapAmb") == 0,
               "%s holds a capability", i ? "the VMM" : "banger-jail");
        expect(status_number(both[i], "NoNewPrivs") == 1, "%s could gain some", i ? "the VMM" : "banger-jail");
        expect(status_number(both[i], "Seccomp") == 2, "%s has no filter", i ? "the VMM" : "banger-jail");
        expect(status_number(both[i], "Uid") == (long) ALICE, "%s is another account", i ? "the VMM" : "banger-jail");
        const char *stat = strrchr(content("/proc/%d/stat", both[i]), ')');
        int session = 0, tty = -1;
        int fields = stat ? sscanf(stat + 3, "%*d %*d %d %d", &session, &tty) : 0;
        expect(fields == 2 && tty == 0 && session != getsid(0), "%s has a terminal or our session",
               i ? "the VMM" : "banger-jail");
    }
    end();
}
/* RLIMIT_AS follows memory_mib, also where the sum does not fit 32 bits. */
static void memory_limit(void) {
    lab_policy(ALLOW "pool 172.16.0.0/12 61000\n" VMMS);
    h = start_ready(ALICE);
    m = machine(&h, ALICE, 0);
    struct wire_request rq = request(WIRE_VMM_SPAWN, 0, 0);
    struct wire_reply reply = {0};
    rq.memory_mib = 0xffffffffu;
    rq.vcpus = 1;
    int r = exchange(&h, WIRE_VMM, &rq, m.fds, SPAWN_FDS, &reply, &m.pidfd);
    const char *says = machine_says(&m), *limit = strstr(says, "limit as ");
    unsigned long long bytes = limit ? strtoull(limit + 9, NULL, 10) : 0;
    expect(r == 0 && reply.verdict == WIRE_DONE && bytes >= 0xffffffffull << 20, "2^32-1 MiB became %llu bytes", bytes);
    has(says, "limit core 0\n");
    end();
}

const struct attack jail_attacks[] = {
    {"11.6 2^32-1 MiB of memory, and what is added to it", memory_limit},
    {"19.2 the VMM opens files of the host, and writes outside of its folder", files},
    {"19.3 the VMM's mounts: read-only but its folder, nosuid, nothing of the host", mounts},
    {"24.4 the VMM and banger-jail: no capability, terminal or other account", privileges},
    {"26.7 the VMM's namespaces are its own, and its network is empty", spaces},
    {NULL, NULL}};
