/* Lines 2, 5, 12, 25 and 26: in whose name, from which file and in which world it is started. */
#include "attack.h"
#include "trace.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/securebits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define LIBEXEC "/usr/local/libexec/banger"
#define JAIL    LIBEXEC "/banger-jail"

/* --- line 2: environment ------------------------------------------------------------ */

static char **environment;
static void with_environment(void) {
    (void) execve(LAB_HELPER, (char *[]){(char[]){"banger-helper"}, NULL}, environment);
    _exit(2);
}

/* Variables that name files for some library to read; none is to be opened. */
static void hostile_environment(void) {
    static const char *const names[] = {
        "LD_PRELOAD",   "LD_LIBRARY_PATH", "LD_AUDIT",    "GCONV_PATH",       "TZ",
        "TZDIR",        "LOCPATH",         "NLSPATH",     "TMPDIR",           "NLSYSCONFDIR",
        "HOSTALIASES",  "RES_OPTIONS",     "LOCALDOMAIN", "RESOLV_HOST_CONF", "GETCONF_DIR",
        "DM_DEV_DIR",   "DM_CONTROL_NAME", "LANGUAGE",    "XDG_CONFIG_HOME",  "HOME",
        "OPENSSL_CONF", "LVM_SYSTEM_DIR"};
    static char texts[32][128];
    char *list[40] = {(char[]){"GLIBC_TUNABLES=glibc.malloc.check=3:glibc.malloc.perturb=1"},
                      (char[]){"MALLOC_CHECK_=3"}, (char[]){"LC_ALL=xx_XX.UTF-8"}, (char[]){"NLCB=debug"},
                      (char[]){"DM_DISABLE_UDEV=1"}};
    lab_sh("rm -rf %s && mkdir -p %s && cp /usr/lib/x86_64-linux-gnu/libm.so.6 %s/evil.so && "
           "echo 'x:1' > %s/classid && echo x > %s/gconv-modules && chmod -R a+rX %s",
           scratch("env"), scratch("env"), scratch("env"), scratch("env"), scratch("env"), scratch("env"));
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        int file = i == 0 || i == 2;
        (void) snprintf(texts[i], sizeof(texts[i]), "%s=%s%s", names[i], scratch("env"), file ? "/evil.so" : "");
        list[5 + i] = texts[i];
    }
    int watch = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    if (inotify_add_watch(watch, scratch("env"), IN_OPEN | IN_ACCESS | IN_CREATE) < 0)
        give_up("cannot watch %s", scratch("env"));
    environment = list;
    expect(serves(ALICE, with_environment), "it does not serve");
    expect(!readable(watch, 0), "something that the environment names was opened");
    expect(access(scratch("env"), F_OK) == 0, "control: the folder is there");
}

static void much_environment(void) {
    static char *list[17];
    for (size_t i = 0; i < 16; i++) {
        list[i] = malloc(100000);
        memset(list[i], 'A' + (int) i, 99999);
        list[i][5] = '=';
        list[i][99999] = '\0';
    }
    environment = list;
    expect(serves(ALICE, with_environment), "it does not serve");
}

/* The address of libc's `environ`, as ld.so placed it in the process. */
static unsigned long long environ_of(pid_t pid) {
    char line[512], library[256] = "", command[400];
    unsigned long long base = 0, offset = 0;
    (void) snprintf(command, sizeof(command), "/proc/%d/maps", pid);
    FILE *maps = fopen(command, "re");
    while (maps && fgets(line, sizeof(line), maps)) {
        if (strstr(line, "/libc.so") && sscanf(line, "%llx-%*x %*s %*s %*s %*s %255s", &base, library) == 2)
            break;
    }
    if (maps)
        fclose(maps);
    (void) snprintf(command, sizeof(command), "nm -D %s | sed -n 's/ [A-Z] environ@.*//p'", library);
    FILE *nm = popen(command, "re");
    if (!nm || fscanf(nm, "%llx", &offset) != 1)
        give_up("cannot find environ in %s", library);
    pclose(nm);
    return base + offset;
}

static void environment_is_forgotten(void) {
    environment = (char *[]){(char[]){"SECRET=1"}, (char[]){"PATH=/tmp"}, NULL};
    struct lab_helper h = lab_start(LAB_HELPER, ALICE, 1, with_environment);
    ready(&h);
    pid_t all[WIRE_WORKERS + 1] = {h.pid};
    workers_of(&h, all + 1);
    for (int i = 0; i <= WIRE_WORKERS; i++) {
        unsigned long long list = 0, first = 1;
        expect(peek(all[i], environ_of(all[i]), &list, sizeof(list)), "process %d: cannot read its memory", i);
        if (list)
            expect(peek(all[i], list, &first, sizeof(first)) && first == 0, "process %d still has an environment", i);
    }
    lab_end(&h);
}

/* --- line 5: the file ----------------------------------------------------------------- */

static void copied(void) {
    lab_sh("cp " LAB_HELPER " /etc/banger/copy && chmod 755 /etc/banger/copy");
    expect(refuses("/etc/banger/copy", ALICE, NULL, "file capabilities are missing"), "a copy starts");
    lab_sh("rm /etc/banger/copy");
}

static void set_id(void) {
    lab_sh("cp " LAB_HELPER " /etc/banger/suid && chown root:root /etc/banger/suid && chmod 4755 /etc/banger/suid && "
           "setcap cap_net_admin,cap_sys_admin,cap_mknod=p /etc/banger/suid");
    expect(refuses("/etc/banger/suid", ALICE, NULL, "must not be set-id"), "a set-uid copy starts");
    lab_sh("chmod 2755 /etc/banger/suid && setcap cap_net_admin,cap_sys_admin,cap_mknod=p /etc/banger/suid");
    expect(refuses("/etc/banger/suid", ALICE, NULL, "must not be set-id"), "a set-gid copy starts");
    lab_sh("rm /etc/banger/suid");
}

static void other_capabilities(void) {
    static const char *const caps[] = {"cap_net_admin,cap_sys_admin,cap_mknod,cap_sys_ptrace=p",
                                       "cap_net_admin,cap_sys_admin,cap_mknod,cap_bpf=p",
                                       "cap_net_admin,cap_sys_admin=p", "cap_net_admin=ep"};
    for (size_t i = 0; i < 4; i++) {
        lab_sh("cp " LAB_HELPER " /etc/banger/caps && chmod 755 /etc/banger/caps && setcap %s /etc/banger/caps",
               caps[i]);
        expect(refuses("/etc/banger/caps", ALICE, NULL, "run `make install`"), "it starts with %s", caps[i]);
    }
    lab_sh("rm /etc/banger/caps");
}

static void nosuid(void) {
    lab_sh("mkdir -p /etc/banger/m && mount -t tmpfs -o nosuid,mode=0755 m /etc/banger/m && "
           "cp " LAB_HELPER " /etc/banger/m/h && chmod 755 /etc/banger/m/h && "
           "setcap cap_net_admin,cap_sys_admin,cap_mknod=p /etc/banger/m/h");
    int good = refuses("/etc/banger/m/h", ALICE, NULL, "mounted nosuid");
    lab_sh("umount /etc/banger/m && rmdir /etc/banger/m");
    expect(good, "on a nosuid mount it does not say so");
}

/* A link keeps the capabilities; what lies beside it must not matter. The account's own
 * banger-jail would leave a mark. */
static void hard_link(void) {
    struct wire_reply reply;
    int pidfd = -1, fds[SPAWN_TRIAL_FDS];
    lab_sh("mkdir -p " LIBEXEC "/mine && chown %d " LIBEXEC "/mine && ln -f " LAB_HELPER " " LIBEXEC "/mine/h && "
           "printf '#!/bin/sh\\ntouch " LIBEXEC "/mine/taken\\n' > " LIBEXEC "/mine/banger-jail && "
           "chmod 755 " LIBEXEC "/mine/banger-jail",
           ALICE);
    struct lab_helper h = lab_start(LIBEXEC "/mine/h", ALICE, 1, NULL);
    struct wire_request rq = request(WIRE_VMM_SPAWN, 0, 0);
    rq.style = SPAWN_TRIAL;
    for (int i = 0; i < SPAWN_TRIAL_FDS; i++)
        fds[i] = memfd_create("x", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    (void) fcntl(fds[SPAWN_ARGS], F_ADD_SEALS, F_SEAL_WRITE);
    int r = exchange(&h, WIRE_VMM, &rq, fds, SPAWN_TRIAL_FDS, &reply, &pidfd);
    expect(r == 0 && reply.verdict == WIRE_DONE, "the trial does not start (%d, reason %u)", r, reply.reason);
    if (pidfd >= 0)
        (void) readable(pidfd, 5000);
    expect(access(LIBEXEC "/mine/taken", F_OK) != 0, "the program beside the link was run");
    lab_end(&h);
    lab_sh("rm -r " LIBEXEC "/mine");
}

/* An upgrade while it runs puts another banger-jail there: that one is started, but none
 * that is not root's alone. */
static void deleted(void) {
    static const char *const foreign[] = {"chown 61000", "chmod 775", "chmod 757"};
    lab_sh("cp -a " LAB_HELPER " " LAB_HELPER ".kept && cp -a " JAIL " " LIBEXEC "/jail.kept");
    struct lab_helper h = start_ready(ALICE);
    lab_sh("rm " LAB_HELPER " " JAIL " && cp -a " LIBEXEC "/jail.kept " JAIL);
    struct machine m = machine(&h, ALICE, 0);
    int r = spawn(&h, &m, 0);
    expect(r == 0 && strstr(machine_says(&m), "ready"), "after an upgrade it starts nothing: %d", r);
    machine_end(&m);
    (void) ask_net(&h, WIRE_NET_DOWN, 0, 0);
    for (size_t i = 0; i < sizeof(foreign) / sizeof(foreign[0]); i++) {
        lab_sh("%s " JAIL, foreign[i]);
        m = machine(&h, ALICE, 0);
        r = spawn(&h, &m, 0);
        expect(r == FAILED(EPERM), "after `%s` it does not refuse: %d", foreign[i], r);
        machine_end(&m);
        (void) ask_net(&h, WIRE_NET_DOWN, 0, 0);
        lab_sh("rm -r " JAIL " && cp -a " LIBEXEC "/jail.kept " JAIL);
    }
    lab_end(&h);
    lab_sh("mv " LAB_HELPER ".kept " LAB_HELPER " && rm " LIBEXEC "/jail.kept && "
           "setcap cap_net_admin,cap_sys_admin,cap_mknod=p " LAB_HELPER);
}

static int cannot_run(void *arg) {
    (void) arg;
    return access(LAB_HELPER, X_OK) != 0 && access(LAB_HELPER, R_OK) != 0 ? 0 : 1;
}

static void as_installed(void) {
    struct stat st = {0};
    expect(stat(LAB_HELPER, &st) == 0 && st.st_uid == 0 && st.st_gid == LAB_GROUP && (st.st_mode & 07777) == 0750 &&
               st.st_nlink == 1,
           "mode %o owner %d:%d links %d", st.st_mode, st.st_uid, st.st_gid, (int) st.st_nlink);
    expect(lab_try("getcap " LAB_HELPER " | grep -q ' cap_sys_admin,cap_net_admin,cap_mknod=p$\\|"
                   " cap_net_admin,cap_sys_admin,cap_mknod=p$'"),
           "its capabilities are others");
    expect(as_account(BOB, cannot_run, NULL) == 0, "an account outside of the group can run or read it");
    for (const char *folder = LIBEXEC; folder; folder = strcmp(folder, LIBEXEC) == 0 ? "/usr/local/libexec" : NULL)
        expect(stat(folder, &st) == 0 && st.st_uid == 0 && !(st.st_mode & 022), "%s can be written", folder);
    expect(stat(LIBEXEC "/banger-jail", &st) == 0 && st.st_uid == 0 && !(st.st_mode & 07022), "banger-jail can");
    expect(stat("/etc/banger", &st) == 0 && st.st_uid == 0 && !(st.st_mode & 022), "the policy's folder can");
    expect(lab_try("find /usr/local /usr/bin /usr/lib/banger /etc/banger \\( -name 'banger*' -o -path '*/banger/*' \\) "
                   "-perm /6000 2>/dev/null | grep -q . && "
                   "exit 1; exit 0"),
           "something of banger is set-id");
}

/* --- line 12: identity ------------------------------------------------------------------ */

static void root(void) {
    expect(refuses(LAB_HELPER, 0, NULL, "does not run as root"), "root is served");
}

static void saved_uid(void) {
    (void) setresuid(ALICE, ALICE, BOB);
}
static void effective_uid(void) {
    (void) setresuid(ALICE, BOB, BOB);
}
static void effective_gid(void) {
    gid_t gid = LAB_GROUP;
    (void) setgroups(1, &gid);
    (void) setresgid(ALICE, BOB, ALICE);
    (void) setresuid(ALICE, ALICE, ALICE);
}

/* lab_start() as root and the ids by `prepare`: a set-id program of another account. An exec
 * makes the saved id the effective one, so that one alone cannot be seen, nor be used. */
static void mixed_ids(void) {
    struct lab_helper h = lab_start(LAB_HELPER, 0, 1, effective_uid);
    expect(ends_saying(&h, "must not be set-id"), "effective is not real uid, and it starts");
    h = lab_start(LAB_HELPER, 0, 1, effective_gid);
    expect(ends_saying(&h, "must not be set-id"), "effective is not real gid, and it starts");
    h = lab_start(LAB_HELPER, 0, 1, saved_uid);
    ready(&h);
    expect(status_number(h.pid, "Uid") == (long) ALICE, "a saved uid is not dropped by the exec");
    pid_t workers[WIRE_WORKERS];
    workers_of(&h, workers);
    const char *ids = strstr(content("/proc/%d/status", workers[0]), "Uid:");
    char want[80];
    (void) snprintf(want, sizeof(want), "Uid:\t%d\t%d\t%d\t%d\n", ALICE, ALICE, ALICE, ALICE);
    expect(ids && strncmp(ids, want, strlen(want)) == 0, "a worker has other ids: %.60s", ids ? ids : "");
    lab_end(&h);
}

static int verdict_of(uid_t uid) {
    struct lab_helper h = start(uid);
    int r = ask_net(&h, WIRE_NET_LIST, 0, 0);
    lab_end(&h);
    return r;
}

static void special_accounts(void) {
    lab_policy("allow gid 61999\nallow uid 65534\npool 172.16.0.0/16 65500\n");
    expect(verdict_of(65533) == 0, "control: an account of the pool is not served");
    expect(verdict_of(65534) == DENIED(POLICY_SPECIAL), "nobody (65534) is served");
}

static void large_uids(void) {
    static const uid_t uids[] = {0x7fffffff, 0x80000000u, 0xfffffffdu, 0xfffffffeu};
    for (size_t i = 0; i < 4; i++) {
        char text[200];
        (void) snprintf(text, sizeof(text), ALLOW "subnet 172.20.4.0/22 uid %u\nslots 4\n", uids[i]);
        lab_policy(text);
        struct lab_helper h = start(uids[i]);
        struct guest g = lab_up(&h, uids[i], 3);
        expect(g.fd >= 0 && g.gateway == 0xac140401u, "uid %u gets no tap", uids[i]);
        expect(interface_exists(tap(uids[i], 3)) && interface_exists(bridge(uids[i])), "not of its own name");
        (void) ask_net(&h, WIRE_NET_DOWN, 3, 0);
        close(g.fd);
        lab_end(&h);
        lab_policy(ALLOW "pool 172.16.0.0/12 61000\n");
        expect(verdict_of(uids[i]) == DENIED(POLICY_NO_SUBNET), "uid %u wraps into the pool", uids[i]);
    }
}

/* The sockets were made by root (as lab_start() always does): that gives nothing. */
static void sockets_of_root(void) {
    struct ucred peer = {0};
    socklen_t size = sizeof(peer);
    lab_policy("allow uid 0\nallow uid 61001\n" RULES);
    struct lab_helper h = start(ALICE);
    expect(getsockopt(h.net, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 && peer.uid == 0, "control: root's sockets");
    expect(ask_net(&h, WIRE_NET_LIST, 0, 0) == DENIED(POLICY_NOT_LISTED), "who made the socket counts");
    lab_end(&h);
}

static gid_t many_gids[65536];
static void many_groups(void) {
    for (size_t i = 0; i < 65536; i++)
        many_gids[i] = i == 60000 ? 62000 : LAB_GROUP;
    if (setgroups(65536, many_gids) || setresgid(ALICE, ALICE, ALICE) || setresuid(ALICE, ALICE, ALICE))
        _exit(2);
}
static void groups(void) {
    lab_policy(POLICY "deny gid 62000\n");
    struct lab_helper h = lab_start(LAB_HELPER, 0, 1, many_groups);
    int r = ask_net(&h, WIRE_NET_LIST, 0, 0);
    expect(r == DENIED(POLICY_DENIED) || (r == GONE && ends_saying(&h, "cannot read the account's groups")),
           "a denied group is lost among 65,536 (%d)", r);
    lab_policy(POLICY "deny gid 61000\n");
    expect(verdict_of(ALICE) == DENIED(POLICY_DENIED), "deny of the primary group does not count");
}

/* --- lines 25 and 26: capabilities and namespaces ------------------------------------------ */

static void no_new_privs(void) {
    (void) prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
}
static void privileges_forbidden(void) {
    expect(refuses(LAB_HELPER, ALICE, no_new_privs, "no_new_privs"), "under no_new_privs it does not say so");
}

static void nothing_bounded(void) {
    for (int cap = 0; cap <= 63; cap++)
        (void) prctl(PR_CAPBSET_DROP, cap, 0, 0, 0);
    if (setresgid(ALICE, ALICE, ALICE) || setresuid(ALICE, ALICE, ALICE))
        _exit(2);
}
static void bounding_set(void) {
    struct lab_helper h = lab_start(LAB_HELPER, 0, 1, nothing_bounded);
    expect(ends_saying(&h, "file capabilities are missing"), "with an empty bounding set it does not say so");
}

/* The caller holds all that the helper may have, and more, inheritable and ambient. */
static void with_ambient(void) {
    struct __user_cap_header_struct self = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct all[2];
    unsigned mask = 1u << CAP_NET_ADMIN | 1u << CAP_SYS_ADMIN | 1u << CAP_MKNOD;
    if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) || setresgid(ALICE, ALICE, ALICE) || setresuid(ALICE, ALICE, ALICE))
        _exit(2);
    all[0] = (struct __user_cap_data_struct){mask, mask, mask};
    all[1] = (struct __user_cap_data_struct){0};
    if (syscall(SYS_capset, &self, all))
        _exit(2);
    for (int cap = 0; cap < 32; cap++) {
        if (mask >> cap & 1)
            (void) prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, cap, 0, 0);
    }
}

static int file_is_closed(void *path) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    return fd < 0 ? 0 : 1;
}

static void ambient(void) {
    struct lab_helper h = lab_start(LAB_HELPER, 0, 1, with_ambient);
    ready(&h);
    pid_t all[WIRE_WORKERS + 1] = {h.pid};
    workers_of(&h, all + 1);
    for (int i = 0; i <= WIRE_WORKERS; i++) {
        char path[64];
        (void) snprintf(path, sizeof(path), "/proc/%d/maps", all[i]);
        expect(status_hex(all[i], "CapInh") == 0 && status_hex(all[i], "CapAmb") == 0, "process %d keeps them", i);
        expect(as_account(ALICE, file_is_closed, path) == 0, "process %d can be looked into", i);
    }
    lab_end(&h);
}

static void own_users(void) {
    if (unshare(CLONE_NEWUSER))
        _exit(2);
}
static void own_users_and_network(void) {
    char map[64];
    uid_t uid = getuid();
    (void) prctl(PR_SET_DUMPABLE, 1, 0, 0, 0); /* its /proc folder is its own again */
    if (unshare(CLONE_NEWUSER | CLONE_NEWNET | CLONE_NEWNS))
        _exit(2);
    int fd = open("/proc/self/uid_map", O_WRONLY | O_CLOEXEC);
    int n = snprintf(map, sizeof(map), "0 %u 1", uid);
    if (fd < 0 || write(fd, map, (size_t) n) != n)
        _exit(2);
}
static void user_namespace(void) {
    expect(refuses(LAB_HELPER, ALICE, own_users, "user namespace"), "it starts in a user namespace");
    expect(refuses(LAB_HELPER, ALICE, own_users_and_network, "user namespace"),
           "it starts as root of a user namespace with a network of its own");
}

/* /proc is a folder with what looks like the initial namespace's file. */
static void false_proc(void) {
    if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
        mount("proc", "/proc", "tmpfs", 0, NULL) || mkdir("/proc/self", 0755) || mkdir("/proc/self/ns", 0755) ||
        mknod("/proc/self/ns/user", S_IFREG | 0444, 0) || setresgid(ALICE, ALICE, ALICE) ||
        setresuid(ALICE, ALICE, ALICE))
        _exit(2);
}
static void no_proc(void) {
    if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
        mount("none", "/proc", "tmpfs", 0, NULL) || setresgid(ALICE, ALICE, ALICE) || setresuid(ALICE, ALICE, ALICE))
        _exit(2);
}
static void proc(void) {
    struct lab_helper h = lab_start(LAB_HELPER, 0, 1, false_proc);
    expect(ends_saying(&h, "/proc is not mounted"), "it believes a /proc that is none");
    h = lab_start(LAB_HELPER, 0, 1, no_proc);
    expect(ends_saying(&h, "/proc is not mounted"), "it starts without /proc");
}

/* In another network namespace it works there, and only there. */
static void own_network(void) {
    if (unshare(CLONE_NEWNET) || setresgid(ALICE, ALICE, ALICE) || setresuid(ALICE, ALICE, ALICE))
        _exit(2);
}
static void other_network(void) {
    struct lab_helper h = lab_start(LAB_HELPER, 0, 1, own_network);
    struct guest g = lab_up(&h, ALICE, 0);
    expect(g.fd >= 0, "no tap there");
    expect(!interface_exists(tap(ALICE, 0)) && !interface_exists(bridge(ALICE)), "it made them in the host's");
    expect(lab_try("nsenter -t %d -n ip link show %s >/dev/null", h.pid, bridge(ALICE)), "nor are they there");
    struct lab_helper host = start(ALICE);
    expect(slots_of(&host) == 0, "the host's helper sees them");
    lab_end(&host);
    close(g.fd);
    lab_end(&h);
}

/* Name services and locales are code of others, loaded at run time. */
static void nothing_loaded(void) {
    struct lab_helper h = start_ready(ALICE);
    pid_t all[WIRE_WORKERS + 1] = {h.pid};
    workers_of(&h, all + 1);
    for (int i = 0; i <= WIRE_WORKERS; i++) {
        const char *maps = content("/proc/%d/maps", all[i]);
        static const char *const foreign[] = {"libnss_", "gconv", "locale-archive", "libpam", "passwd", "nscd"};
        expect(strstr(maps, "libc.so") != NULL || strstr(maps, "banger-helper"), "control: the maps can be read");
        for (size_t f = 0; f < sizeof(foreign) / sizeof(foreign[0]); f++)
            expect(!strstr(maps, foreign[f]), "process %d has loaded %s", i, foreign[f]);
        expect(!strstr(maps, " rwxp"), "process %d has memory to write and execute", i);
    }
    lab_end(&h);
}

const struct attack start_attacks[] = {
    {"2.1 variables that name files for libraries: none is opened", hostile_environment},
    {"2.2 1.6 MiB of environment", much_environment},
    {"2.3 nothing of the environment is left in any process", environment_is_forgotten},
    {"5.1 a copy, which has no capabilities", copied},
    {"5.2 a set-uid or set-gid copy with the capabilities", set_id},
    {"5.3 a hard link in the account's folder, with a banger-jail beside it", hard_link},
    {"5.4 deleted, and banger-jail replaced, while it runs", deleted},
    {"5.5 a nosuid mount", nosuid},
    {"5.6 owner, mode, links and capabilities as installed", as_installed},
    {"12.1 root", root},
    {"12.2 a set-id program of another account starts it", mixed_ids},
    {"12.3 the account nobody, though a line allows it", special_accounts},
    {"12.4 uids from 2^31-1 to 2^32-2", large_uids},
    {"12.5 sockets that root made, for an account that is not listed", sockets_of_root},
    {"12.6 a denied group among 65,536, and as the primary one", groups},
    {"25.1 more capabilities, or fewer, than the helper is for", other_capabilities},
    {"25.2 the caller holds them all, ambient and inheritable", ambient},
    {"26.1 a user namespace of the account's own", user_namespace},
    {"26.2 no_new_privs", privileges_forbidden},
    {"26.3 an empty bounding set", bounding_set},
    {"26.4 no /proc, and a false one", proc},
    {"26.5 another network namespace: nothing is made in the host's", other_network},
    {"26.6 name services, locales and what else is loaded at run time", nothing_loaded},
    {NULL, NULL}};
