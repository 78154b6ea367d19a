/* Lines 4, 14, 20 and 34: what a caller that skips every check of its own may have. */
#include "attack.h"

#include "../../common/fdpass.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

/* --- line 4: an engine that was taken over ------------------------------------------------ */

static int spawn_as(struct lab_helper *h, const struct machine *m, uint32_t slot, uint32_t kind, uint32_t memory,
                    uint32_t vcpus) {
    struct wire_request rq = request(WIRE_VMM_SPAWN, slot, kind);
    rq.memory_mib = memory;
    rq.vcpus = vcpus;
    return ask(h, WIRE_VMM, &rq, m->fds, SPAWN_FDS);
}

static void ceilings(void) {
    struct lab_helper h = start(ALICE);
    struct machine m = machine(&h, ALICE, 0);
    static const uint32_t memory[] = {513, 1u << 20, 0x80000000u, 0xffffffffu, 0};
    static const uint32_t vcpus[] = {5, 256, 0x80000000u, 0xffffffffu, 0};
    for (size_t i = 0; i < 5; i++) {
        expect(spawn_as(&h, &m, 0, 0, memory[i], 1) == DENIED(POLICY_MEMORY), "%u MiB", memory[i]);
        expect(spawn_as(&h, &m, 0, 0, 1, vcpus[i]) == DENIED(POLICY_VCPUS), "%u vCPUs", vcpus[i]);
    }
    machine_end(&m);
    (void) ask_net(&h, WIRE_NET_DOWN, 0, 0);
    lab_end(&h);
}
static void other_vmms(void) {
    struct lab_helper h = start(ALICE);
    struct machine m = machine(&h, ALICE, 0);
    for (uint32_t kind = 1; kind < POLICY_VMMS_MAX; kind++)
        expect(spawn_as(&h, &m, 0, kind, 1, 1) == DENIED(POLICY_NO_VMM), "VMM %u", kind);
    struct wire_request rq = request(WIRE_VMM_SPAWN, 0, 0);
    rq.style = SPAWN_BY_NAME;
    rq.memory_mib = rq.vcpus = 1;
    expect(ask(&h, WIRE_VMM, &rq, m.fds, SPAWN_NAMED_FDS) == DENIED(POLICY_NO_VMM), "by name");
    machine_end(&m);
    (void) ask_net(&h, WIRE_NET_DOWN, 0, 0);
    lab_end(&h);
}
static void private_ranges(void) {
    static const struct wire_cidr ranges[] = {{0, 0, 0},
                                              {0, 1, 0},
                                              {0x80000000u, 1, 0},
                                              {0x0a000000, 8, 0},
                                              {0x0a010203, 32, 0},
                                              {0x7f000001, 32, 0},
                                              {0xa9fea9fe, 32, 0},
                                              {0xac100001, 32, 0},
                                              {0xc0a80000, 16, 0},
                                              {0xc0000000u, 2, 0},
                                              {0xe0000001, 32, 0},
                                              {0xffffffff, 32, 0},
                                              {0x64400000, 10, 0},
                                              {0xc0a80101, 24, 0},
                                              {0x08080808, 33, 0},
                                              {0x08080808, 64, 0},
                                              {0x08080808, 0xffffffff, 0},
                                              {0x08080808, 32, 86401},
                                              {0x08080808, 32, 0xffffffff},
                                              {0x08080800, 16, 0},
                                              {0x08080808, 0, 0}};
    struct lab_helper h = start(ALICE);
    for (size_t i = 0; i < sizeof(ranges) / sizeof(ranges[0]); i++) {
        struct wire_request rq = request(WIRE_NET_EGRESS, 0, i & 1 ? WIRE_EGRESS_LIST : WIRE_EGRESS_LIST_ADD);
        rq.cidr_count = WIRE_CIDR_MAX;
        for (int c = 0; c < WIRE_CIDR_MAX; c++)
            rq.cidrs[c] = (struct wire_cidr){0x08080808, 32, 60};
        rq.cidrs[i] = ranges[i];
        expect(ask(&h, WIRE_NET, &rq, NULL, 0) == DENIED(POLICY_CIDR), "%08x/%u for %u s", ranges[i].address,
               ranges[i].prefix, ranges[i].lifetime);
    }
    lab_end(&h);
}
static void forbidden_nat(void) {
    struct lab_helper h = start(ALICE);
    struct wire_request rq = request(WIRE_NET_EGRESS, 0, WIRE_EGRESS_LIST);
    rq.cidr_count = 1;
    rq.cidrs[0] = (struct wire_cidr){0x08080808, 32, 60};
    static const char *const policies[] = {ALLOW "pool 172.16.0.0/12 61000\nuplink default\n",
                                           ALLOW "pool 172.16.0.0/12 61000\nnat no\nuplink default\n",
                                           ALLOW "pool 172.16.0.0/12 61000\nnat yes\n"};
    for (size_t i = 0; i < 3; i++) {
        lab_policy(policies[i]);
        expect(ask_net(&h, WIRE_NET_EGRESS, 0, WIRE_EGRESS_NAT) == DENIED(POLICY_NO_NAT), "nat under %s", policies[i]);
        expect(ask(&h, WIRE_NET, &rq, NULL, 0) == DENIED(POLICY_NO_NAT), "a list under %s", policies[i]);
    }
    lab_end(&h);
}

/* --- lines 14 and 20: descriptors that are not what they should be --------------------------- */

/* VMM_SPAWN with `fd` in place of one role's: what is said; it must not start. */
static int with_fd(struct lab_helper *h, struct machine *m, int role, int fd) {
    int kept = m->fds[role];
    m->fds[role] = fd;
    int r = spawn(h, m, 0);
    m->fds[role] = kept;
    if (m->pidfd >= 0) {
        (void) !write(m->pidfd, "", 0);
        struct machine started = {.pidfd = m->pidfd};
        memset(started.fds, -1, sizeof(started.fds));
        machine_end(&started);
        m->pidfd = -1;
    }
    return r;
}
static struct lab_helper deputy;
static struct machine owned;
static void begin(void) {
    deputy = start(ALICE);
    owned = machine(&deputy, ALICE, 0);
}
static void finish(void) {
    machine_end(&owned);
    (void) ask_net(&deputy, WIRE_NET_DOWN, 0, 0);
    lab_end(&deputy);
}

static int open_as(uid_t uid, const char *path, int flags) {
    become(uid);
    int fd = open(path, flags | O_CLOEXEC);
    become_root();
    return fd;
}
/* O_PATH proves no right to read: what the account cannot open must not come up in its jail. */
static void shadow(void) {
    begin();
    expect(open_as(ALICE, "/etc/shadow", O_RDONLY) < 0, "control: the account can read /etc/shadow");
    int fd = open_as(ALICE, "/etc/shadow", O_PATH);
    expect(fd >= 0, "control: it cannot name it");
    static const int roles[] = {SPAWN_KERNEL, SPAWN_INITRD, SPAWN_ROOT, SPAWN_WORK, SPAWN_LOG, SPAWN_ARGS};
    for (size_t i = 0; i < 6; i++)
        expect(with_fd(&deputy, &owned, roles[i], fd) == DENIED(POLICY_DESCRIPTOR), "as descriptor %d", roles[i]);
    close(fd);
    finish();
}
/* What is writable in the jail must be the account's own. */
static void folders_of_others(void) {
    begin();
    lab_sh("install -d -m 0777 -o %d %s/bobs", BOB, scratch(""));
    static const char *const paths[] = {"/etc", "/tmp", "/root", "/proc", "/sys/kernel", "/usr/local/libexec/banger"};
    for (size_t i = 0; i < 6; i++) {
        for (int flags = 0; flags < 2; flags++) {
            int fd = open(paths[i], (flags ? O_PATH : O_RDONLY) | O_DIRECTORY | O_CLOEXEC);
            if (fd < 0)
                continue;
            expect(with_fd(&deputy, &owned, SPAWN_JAIL, fd) == DENIED(POLICY_DESCRIPTOR), "%s as jail", paths[i]);
            close(fd);
        }
    }
    int fd = open_as(ALICE, scratch("bobs"), O_PATH | O_DIRECTORY);
    expect(fd >= 0 && with_fd(&deputy, &owned, SPAWN_JAIL, fd) == DENIED(POLICY_DESCRIPTOR),
           "a folder of another account that everybody can write, as jail");
    close(fd);
    finish();
}
/* A disk that root opened for reading only. */
static void block_devices(void) {
    begin();
    int fd = open("/dev/loop7", O_RDONLY | O_CLOEXEC), path = open("/dev/loop7", O_PATH | O_CLOEXEC);
    if (fd < 0)
        skip("there is no /dev/loop7 here: %s", strerror(errno));
    static const int roles[] = {SPAWN_ROOT, SPAWN_WORK, SPAWN_KERNEL, SPAWN_LOG};
    for (size_t i = 0; i < 4; i++) {
        expect(with_fd(&deputy, &owned, roles[i], fd) == DENIED(POLICY_DESCRIPTOR), "read-only as %d", roles[i]);
        expect(with_fd(&deputy, &owned, roles[i], path) == DENIED(POLICY_DESCRIPTOR), "O_PATH as %d", roles[i]);
    }
    close(fd);
    close(path);
    finish();
}
/* Kinds of descriptors in the place of each role. */
static void wrong_kinds(void) {
    int pair[2], ends[2];
    begin();
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) || pipe2(ends, O_CLOEXEC))
        give_up("cannot make descriptors");
    int inet = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    (void) listen(inet, 1);
    const int fds[] = {open("/dev/null", O_RDWR | O_CLOEXEC),
                       open("/dev/full", O_RDWR | O_CLOEXEC),
                       pair[0],
                       ends[0],
                       inet,
                       eventfd(0, EFD_CLOEXEC),
                       open("/proc/self/ns/user", O_RDONLY | O_CLOEXEC | O_DIRECTORY),
                       open("/dev/ptmx", O_RDWR | O_CLOEXEC | O_NOCTTY)};
    for (int role = 0; role < SPAWN_FDS; role++) {
        for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++) {
            if (fds[i] >= 0)
                expect(with_fd(&deputy, &owned, role, fds[i]) == DENIED(POLICY_DESCRIPTOR), "kind %zu as %d", i, role);
        }
    }
    finish();
}
/* Arguments that the account goes on writing after they were looked at. */
static void writable_arguments(void) {
    begin();
    int open_memfd = memfd_create("x", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    expect(with_fd(&deputy, &owned, SPAWN_ARGS, open_memfd) == DENIED(POLICY_DESCRIPTOR), "an unsealed memfd");
    int plain = open(scratch("plain"), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    expect(with_fd(&deputy, &owned, SPAWN_ARGS, plain) == DENIED(POLICY_DESCRIPTOR), "a file");
    close(plain);
    finish();
}
/* Files of the kernel's that look like regular ones: namespaces, and what says how a process does. */
static void namespaces(void) {
    static const char *const names[] = {"ns/net", "ns/user", "ns/mnt", "ns/pid", "ns/uts", "status", "maps"};
    begin();
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        char path[64];
        (void) snprintf(path, sizeof(path), "/proc/self/%s", names[i]);
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        for (int role = 0; role < SPAWN_FDS; role++) {
            int r = with_fd(&deputy, &owned, role, fd);
            expect(r == DENIED(POLICY_DESCRIPTOR), "/proc/self/%s as descriptor %d: %d", names[i], role, r);
        }
        close(fd);
    }
    finish();
}

/* SNAP_UP: the base and the overlay that are somebody else's, writable, one file, or too small. */
static int snap(const char *base, int base_flags, const char *overlay, int overlay_flags) {
    int fds[] = {open(base, base_flags | O_CLOEXEC), open(overlay, overlay_flags | O_CLOEXEC)};
    struct wire_request rq = request(WIRE_SNAP_UP, 0, 0);
    if (fds[0] < 0 || fds[1] < 0)
        give_up("%s or %s: %s", base, overlay, strerror(errno));
    int r = ask(&deputy, WIRE_DISK, &rq, fds, SNAP_FDS);
    fdpass_close(fds, SNAP_FDS);
    return r;
}
static void snapshots(void) {
    begin();
    const char *base = scratch("b"), *overlay = scratch("o"), *bobs = scratch("bobs"), *sparse = scratch("s");
    lab_sh("cd %s && truncate -s 1M b bobs && fallocate -l 2M o && truncate -s 2M s && chmod 666 b o s bobs && "
           "chown %d b o s && chown %d bobs",
           scratch(""), ALICE, BOB);
    expect(snap(bobs, O_RDONLY, overlay, O_RDWR) == DENIED(POLICY_DESCRIPTOR), "another account's base");
    expect(snap(base, O_RDONLY, bobs, O_RDWR) == DENIED(POLICY_DESCRIPTOR), "another account's overlay");
    expect(snap(base, O_RDWR, overlay, O_RDWR) == DENIED(POLICY_DESCRIPTOR), "a base open for writing");
    expect(snap(base, O_RDONLY, overlay, O_RDONLY) == DENIED(POLICY_DESCRIPTOR), "an overlay open for reading");
    expect(snap(base, O_PATH, overlay, O_RDWR) == DENIED(POLICY_DESCRIPTOR), "a base that is only named");
    expect(snap(overlay, O_RDONLY, overlay, O_RDWR) == DENIED(POLICY_DESCRIPTOR), "one file as both");
    expect(snap(base, O_RDONLY, sparse, O_RDWR) == DENIED(POLICY_OVERLAY), "an overlay that is not reserved");
    lab_sh("truncate -s 1M %s", overlay);
    expect(snap(base, O_RDONLY, overlay, O_RDWR) == DENIED(POLICY_OVERLAY), "an overlay that could become full");
    expect(snap("/dev/null", O_RDONLY, overlay, O_RDWR) == DENIED(POLICY_DESCRIPTOR), "a device as base");
    expect(snap("/proc/self/status", O_RDONLY, overlay, O_RDWR) != 0, "a file of /proc as base");
    finish();
}

/* --- line 34: exactly N ------------------------------------------------------------------------ */

static void slots(void) {
    struct lab_helper h = start(ALICE);
    int fds[6];
    for (uint32_t slot = 0; slot < 4; slot++) {
        struct guest g = lab_up(&h, ALICE, slot);
        fds[slot] = g.fd;
        expect(g.fd >= 0, "slot %u of 4 is refused", slot);
    }
    expect(ask_net(&h, WIRE_NET_UP, 4, 0) == DENIED(POLICY_SLOT), "slot 4 of 4 is given");
    expect(!interface_exists(tap(ALICE, 4)), "and made");
    for (uint32_t slot = 0; slot < 4; slot++)
        close(fds[slot]);
    lab_end(&h);
    clean(ALICE);
}
/* What counts is in the kernel: neither a killed helper nor a second one gives more. */
static void after_crash(void) {
    struct lab_helper h = start(ALICE), second = start(ALICE);
    int fds[4];
    for (uint32_t slot = 0; slot < 4; slot++)
        fds[slot] = lab_up(&h, ALICE, slot).fd;
    for (uint32_t slot = 0; slot < 4; slot++)
        expect(ask_net(&second, WIRE_NET_UP, slot, 0) == FAILED(EEXIST), "a second helper gives slot %u again", slot);
    (void) kill(h.pid, SIGKILL);
    (void) is_closed(h.net, 2000);
    lab_end(&h);
    h = start(ALICE);
    expect(slots_of(&h) == 15, "a helper after a crash sees %llx", (unsigned long long) slots_of(&h));
    for (uint32_t slot = 0; slot < 4; slot++)
        expect(ask_net(&h, WIRE_NET_UP, slot, 0) == FAILED(EEXIST), "it gives slot %u again", slot);
    for (uint32_t slot = 0; slot < 4; slot++)
        close(fds[slot]);
    lab_end(&h);
    lab_end(&second);
    clean(ALICE);
}
static void lowered(void) {
    struct lab_helper h = start(ALICE);
    int fd = lab_up(&h, ALICE, 3).fd;
    lab_policy(ALLOW "pool 172.16.0.0/12 61000\nslots 2\n");
    expect(ask_net(&h, WIRE_NET_UP, 2, 0) == DENIED(POLICY_SLOT), "slot 2 of now 2 is given");
    expect(slots_of(&h) == 8, "what is beyond them is not listed");
    expect(ask_net(&h, WIRE_NET_DOWN, 3, 0) == 0, "and cannot be taken down");
    close(fd);
    lab_policy(ALLOW "pool 172.16.0.0/12 61000\nslots 0\n");
    expect(ask_net(&h, WIRE_NET_UP, 0, 0) == DENIED(POLICY_SLOT), "slot 0 of 0 is given");
    lab_end(&h);
}
static void exact_ceilings(void) {
    struct lab_helper h = start(ALICE);
    struct machine m = machine(&h, ALICE, 0);
    expect(spawn_as(&h, &m, 0, 0, 513, 4) == DENIED(POLICY_MEMORY) &&
               spawn_as(&h, &m, 0, 0, 512, 5) == DENIED(POLICY_VCPUS),
           "one more than the ceiling is given");
    int fd = -1;
    struct wire_request rq = request(WIRE_VMM_SPAWN, 0, 0);
    struct wire_reply reply = {0};
    rq.memory_mib = 512;
    rq.vcpus = 4;
    expect(exchange(&h, WIRE_VMM, &rq, m.fds, SPAWN_FDS, &reply, &fd) == 0 && reply.verdict == WIRE_DONE,
           "the ceiling itself is refused: %u %u", reply.verdict, reply.reason);
    m.pidfd = fd;
    machine_end(&m);
    lab_policy(POLICY "disk-max 1\n");
    m = machine(&h, ALICE, 1);
    int r = ftruncate(m.fds[SPAWN_WORK], (1 << 20) + 1);
    expect(r == 0 && spawn(&h, &m, 1) == DENIED(POLICY_DISK), "a disk a byte beyond disk-max is given");
    machine_end(&m);
    (void) ask_net(&h, WIRE_NET_DOWN, 0, 0);
    (void) ask_net(&h, WIRE_NET_DOWN, 1, 0);
    lab_end(&h);
}

const struct attack rights_attacks[] = {
    {"4.1 memory and processors beyond the policy, or none", ceilings},
    {"4.2 VMMs that the policy does not have", other_vmms},
    {"4.3 ranges that no guest reaches, hidden among 31 good ones", private_ranges},
    {"4.4 egress where the policy has none", forbidden_nat},
    {"14.1 files of namespaces and of /proc in the place of each descriptor", namespaces},
    {"20.1 /etc/shadow by O_PATH, to be mounted in the jail", shadow},
    {"20.2 folders of others as the jail's", folders_of_others},
    {"20.3 a block device that is not open for writing", block_devices},
    {"20.4 eight kinds of descriptors in the place of each", wrong_kinds},
    {"20.5 arguments that can still be written", writable_arguments},
    {"20.6 snapshots of others' files, of writable ones, and of themselves", snapshots},
    {"34.1 slots: N are given, one more is not", slots},
    {"34.2 slots after a crash, and by a second helper", after_crash},
    {"34.3 slots that the policy had before", lowered},
    {"34.4 memory, processors and disks: the ceiling and one more", exact_ceilings},
    {NULL, NULL}};
