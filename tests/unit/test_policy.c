#include "../../policy/policy.h"
#include "../../unpriv/priv/priv.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define GOOD                                                                                                           \
    "allow gid 990\npool 172.16.0.0/12 1000\nnat yes\nuplink default\nvmm qemu /usr/bin/qemu /usr\n"                   \
    "slots 3\nmemory-max 2048\nvcpus-max 4\n"

static struct policy p;

static uint32_t parse(const char *text) {
    return policy_parse(&p, text, strlen(text));
}

static enum policy_reason decide(uid_t uid, gid_t gid, struct wire_request rq, const struct policy_fd *fds) {
    struct policy_who who = {.uid = uid, .gids = &gid, .gid_count = 1};
    return policy_decide(&p, &who, &rq, fds);
}

/* --- grammar: each text and the number of its bad line, 0 for none ---------------- */

static const struct {
    const char *text;
    uint32_t bad_line;
} grammar[] = {
    {"", 0},
    {"\n\n# only a comment", 0},
    {GOOD, 0},
    {"allow gid 1", 0},
    {"\tallow  gid\t1 # why", 0},
    {"allow gid 1#why", 0},
    {"allow uid 0", 0},
    {"allow uid 4294967294", 0},
    {"allow uid 4294967295", 1},
    {"allow uid 4294967296", 1},
    {"allow uid 18446744073709551617", 1},
    {"allow uid -1", 1},
    {"allow uid +1", 1},
    {"allow uid 01", 1},
    {"allow uid 0x1", 1},
    {"allow uid 1x", 1},
    {"allow uid ", 1},
    {"allow uid root", 1},
    {"allow", 1},
    {"allow user 1", 1},
    {"allow uid 1 2", 1},
    {"Allow uid 1", 1},
    {"allo uid 1", 1},
    {"allowx uid 1", 1},
    {"\n\nallow uid x\n", 3},
    {"allow uid 1\r\n", 1},
    {"allow uid 1\nallow\033 uid 2\n", 2},
    {"pool 172.16.0.0/12 1000", 0},
    {"pool 10.0.0.0/22 1000", 0},
    {"pool 10.0.0.0/23 1000", 1},
    {"pool 10.0.0.0/8 1000", 0},
    {"pool 10.0.0.0/7 1000", 1},
    {"pool 172.16.0.1/12 1000", 1},
    {"pool 172.16.0/12 1000", 1},
    {"pool 172.16.0.0.0/12 1000", 1},
    {"pool 256.0.0.0/22 1000", 1},
    {"pool 172.16.0.0 1000", 1},
    {"pool 172.16.0.0/ 1000", 1},
    {"pool 172.16.0.0/33 1000", 1},
    {"pool 172.16.0.0/12 0", 1},
    {"pool 172.16.0.0/12 4294966271", 0},
    {"pool 172.16.0.0/12 4294966272", 1},
    {"pool 127.0.0.0/22 1000", 1},
    {"pool 169.254.0.0/22 1000", 1},
    {"pool 224.0.0.0/22 1000", 1},
    {"pool 0.0.0.0/22 1000", 1},
    {"pool 172.16.0.0/12 1000\npool 10.0.0.0/20 2024", 0},
    {"pool 172.16.0.0/12 1000\npool 10.0.0.0/20 2023", 2},
    {"pool 172.16.0.0/12 1000\npool 172.31.252.0/22 9000", 2},
    {"pool 172.16.0.0/12 1000\nsubnet 172.16.4.0/22 uid 9000", 2},
    {"pool 172.16.0.0/12 1000\nsubnet 10.0.0.0/22 uid 1001", 2},
    {"subnet 10.0.0.0/22 uid 5\nsubnet 10.0.4.0/22 uid 6", 0},
    {"subnet 10.0.0.0/22 uid 5\nsubnet 10.0.0.0/22 uid 6", 2},
    {"subnet 10.0.0.0/22 uid 5\nsubnet 10.0.4.0/22 uid 5", 2},
    {"subnet 10.0.0.0/24 uid 5", 1},
    {"subnet 10.0.1.0/22 uid 5", 1},
    {"subnet 10.0.0.0/22 gid 5", 1},
    {"slots 0", 0},
    {"slots 1000", 0},
    {"slots 1001", 1},
    {"slots 5\nslots 5", 2},
    {"nat yes\nnat no", 2},
    {"nat maybe", 1},
    {"nat", 1},
    {"uplink eth0\nuplink default", 0},
    {"uplink eth0\nuplink eth0", 2},
    {"uplink fifteenletters1", 0},
    {"uplink sixteenletters16", 1},
    {"uplink eth0/1", 1},
    {"uplink ..", 1},
    {"private allow 10.0.0.0/8\nprivate allow 192.168.0.0/16", 0},
    {"private allow 10.0.0.0/8\nprivate allow 10.1.0.0/16", 2},
    {"private deny 10.0.0.0/8", 1},
    {"vmm q /bin/q /usr /lib", 0},
    {"vmm q /bin/q", 0},
    {"vmm q", 1},
    {"disk-max 1", 0},
    {"disk-max 0", 1},
    {"vmm q bin/q /usr", 1},
    {"vmm q /bin/../q /usr", 1},
    {"vmm q /bin/q /usr/..", 1},
    {"vmm q /bin/q /usr/.", 1},
    {"vmm q /bin/q /usr/", 1},
    {"vmm q /bin/q //usr", 1},
    {"vmm q /bin/q /", 1},
    {"vmm q /bin/q /1 /2 /3 /4 /5 /6 /7 /8", 0},
    {"vmm q /bin/q /1 /2 /3 /4 /5 /6 /7 /8 /9", 1},
    {"vmm q /bin/q /usr\nvmm q /bin/r /usr", 2},
    {"memory-max 0", 1},
    {"memory-max 1", 0},
    {"vcpus-max 0", 1},
    {"include /etc/passwd", 1},
};

Test(policy, grammar) {
    for (size_t i = 0; i < sizeof(grammar) / sizeof(grammar[0]); i++) {
        uint32_t line = parse(grammar[i].text);
        cr_expect_eq(line, grammar[i].bad_line, "%s: %s", grammar[i].text, p.problem ? p.problem : "accepted");
        cr_expect((p.fault == POLICY_BAD_LINE) == (line != 0));
        cr_expect((p.problem != NULL) == (line != 0));
    }
}

Test(policy, nul_and_long_lines_are_refused) {
    cr_expect_eq(policy_parse(&p, "allow uid 1\0\n", 13), 1);
    char text[POLICY_LINE_MAX + 3];
    memset(text, '#', sizeof(text));
    text[sizeof(text) - 1] = '\0';
    text[POLICY_LINE_MAX] = '\n';
    cr_expect_eq(parse(text), 0, "a line of the greatest length");
    text[POLICY_LINE_MAX] = '#';
    cr_expect_eq(parse(text), 1, "one byte more");
}

Test(policy, full_tables_are_refused_not_cut) {
    static char text[32 * (POLICY_RULES_MAX + 2)];
    size_t used = 0;
    for (int i = 0; i < POLICY_RULES_MAX; i++)
        used += (size_t) snprintf(text + used, sizeof(text) - used, "allow uid %d\n", i);
    cr_expect_eq(parse(text), 0);
    (void) snprintf(text + used, sizeof(text) - used, "allow uid 9\n");
    cr_expect_eq(parse(text), POLICY_RULES_MAX + 1);
    parse("vmm a /a /u\nvmm b /b /u\nvmm c /c /u\nvmm d /d /u\nvmm e /e /u\nvmm f /f /u\nvmm g /g /u\nvmm h /h /u\n"
          "vmm i /i /u\n");
    cr_expect_eq(p.bad_line, 9);
}

Test(policy, values_arrive) {
    cr_assert_eq(parse(GOOD "private allow 192.168.10.0/24\nvmm fc /opt/fc /lib /lib64\n"), 0);
    cr_expect_eq(p.slots, 3);
    cr_expect_eq(p.memory_max, 2048);
    cr_expect_eq(p.private_allow[0].address, 0xc0a80a00);
    cr_expect_eq(p.vmm_count, 2);
    cr_expect_str_eq(p.vmms[1].name, "fc");
    cr_expect_str_eq(p.vmms[1].binary, "/opt/fc");
    cr_expect_str_eq(p.vmms[1].folders[1], "/lib64");
    cr_expect_eq(policy_subnet(&p, 999), 0);
    cr_expect_eq(policy_subnet(&p, 1000), 0xac100000);
    cr_expect_eq(policy_subnet(&p, 1001), 0xac100400);
    cr_expect_eq(policy_subnet(&p, 2023), 0xac1ffc00);
    cr_expect_eq(policy_subnet(&p, 2024), 0);
}

/* --- decisions --------------------------------------------------------------------- */

Test(policy, who) {
    const struct wire_request list = {.op = WIRE_NET_LIST};
    parse(GOOD);
    cr_expect_eq((int) decide(1000, 990, list, NULL), POLICY_ALLOWED);
    cr_expect_eq((int) decide(1000, 99, list, NULL), POLICY_NOT_LISTED, "a prefix of the gid is not the gid");
    cr_expect_eq((int) decide(990, 1000, list, NULL), POLICY_NOT_LISTED, "a uid is not a gid");
    cr_expect_eq((int) decide(2024, 990, list, NULL), POLICY_NO_SUBNET);
    parse("allow uid 0\nallow uid 65534\nallow gid 990\npool 10.0.0.0/8 1\n");
    cr_expect_eq((int) decide(0, 990, list, NULL), POLICY_SPECIAL);
    cr_expect_eq((int) decide(65534, 990, list, NULL), POLICY_SPECIAL);
    cr_expect_eq((int) decide((uid_t) -1, 990, list, NULL), POLICY_SPECIAL);
    parse("deny uid 1000\nallow uid 1000\nallow gid 990\n"
          "pool 172.16.0.0/12 1000\n");
    cr_expect_eq((int) decide(1000, 990, list, NULL), POLICY_DENIED, "deny wins, whatever the order");
    parse("allow uid 1000\ndeny gid 990\npool 172.16.0.0/12 1000\n");
    cr_expect_eq((int) decide(1000, 990, list, NULL), POLICY_DENIED);
    cr_expect_eq((int) decide(1000, 991, list, NULL), POLICY_ALLOWED);
    parse("allow gid 990\nbad\n");
    cr_expect_eq((int) decide(1000, 990, list, NULL), POLICY_BAD_LINE, "one bad line voids the lines before it");
    memset(&p, 0, sizeof(p));
    cr_expect_eq((int) decide(1000, 990, list, NULL), POLICY_NOT_LISTED, "nothing allows nothing");
}

Test(policy, any_of_the_groups_counts) {
    const gid_t gids[] = {5, 6, 990};
    const struct wire_request list = {.op = WIRE_NET_LIST};
    parse(GOOD);
    struct policy_who who = {.uid = 1000, .gids = gids, .gid_count = 3};
    cr_expect_eq((int) policy_decide(&p, &who, &list, NULL), POLICY_ALLOWED);
    who.gid_count = 2;
    cr_expect_eq((int) policy_decide(&p, &who, &list, NULL), POLICY_NOT_LISTED);
}

Test(policy, limits_on_both_sides) {
    parse(GOOD);
    struct wire_request up = {.op = WIRE_NET_UP, .slot = 2};
    cr_expect_eq((int) decide(1000, 990, up, NULL), POLICY_ALLOWED);
    up.slot = 3;
    cr_expect_eq((int) decide(1000, 990, up, NULL), POLICY_SLOT);
    up.op = WIRE_NET_DOWN;
    cr_expect_eq((int) decide(1000, 990, up, NULL), POLICY_ALLOWED, "what is beyond may be taken down");
    struct wire_request nat = {.op = WIRE_NET_EGRESS, .kind = WIRE_EGRESS_NAT};
    cr_expect_eq((int) decide(1000, 990, nat, NULL), POLICY_ALLOWED);
    p.nat = 0;
    cr_expect_eq((int) decide(1000, 990, nat, NULL), POLICY_NO_NAT);
    p.nat = 1;
    p.uplink_count = 0;
    cr_expect_eq((int) decide(1000, 990, nat, NULL), POLICY_NO_NAT);
    nat.kind = WIRE_EGRESS_NONE;
    cr_expect_eq((int) decide(1000, 990, nat, NULL), POLICY_ALLOWED);
}

/* --- the descriptors of a spawn ------------------------------------------------------ */

static const struct policy_fd regular_rw = {
    .st.st_mode = S_IFREG, .flags = O_RDWR, .seals = -1, .magic = EXT4_SUPER_MAGIC};
static const struct policy_fd regular_ro = {
    .st.st_mode = S_IFREG, .flags = O_RDONLY, .seals = -1, .magic = BTRFS_SUPER_MAGIC};
static const struct policy_fd memfd = {
    .st.st_mode = S_IFREG, .flags = O_RDWR, .seals = F_SEAL_WRITE, .magic = TMPFS_MAGIC};
static const struct policy_fd folder = {.st.st_mode = S_IFDIR, .st.st_uid = 1000, .flags = O_PATH, .seals = -1};
static const struct policy_fd listener = {.st.st_mode = S_IFSOCK,
                                          .flags = O_RDWR,
                                          .seals = -1,
                                          .socket_domain = AF_UNIX,
                                          .socket_type = SOCK_STREAM,
                                          .listening = 1};

static void good_fds(struct policy_fd fds[SPAWN_FDS]) {
    const struct policy_fd tun = {.st.st_mode = S_IFCHR, .st.st_rdev = makedev(10, 200), .flags = O_RDWR, .seals = -1};
    const struct policy_fd good[SPAWN_FDS] = {
        [SPAWN_ARGS] = memfd,         [SPAWN_LOG] = regular_rw,  [SPAWN_STATUS] = regular_rw,
        [SPAWN_CONSOLE] = regular_rw, [SPAWN_JAIL] = folder,     [SPAWN_KERNEL] = regular_ro,
        [SPAWN_INITRD] = regular_ro,  [SPAWN_ROOT] = regular_rw, [SPAWN_WORK] = regular_rw,
        [SPAWN_QMP] = listener,       [SPAWN_AGENT] = listener,  [SPAWN_TAP] = tun,
    };
    memcpy(fds, good, sizeof(good));
}

Test(policy, spawn) {
    struct policy_fd fds[SPAWN_FDS];
    struct wire_request spawn = {.op = WIRE_VMM_SPAWN, .memory_mib = 2048, .vcpus = 4};
    parse(GOOD);
    good_fds(fds);
    cr_expect_eq((int) decide(1000, 990, spawn, fds), POLICY_ALLOWED);
    spawn.memory_mib = 2049;
    cr_expect_eq((int) decide(1000, 990, spawn, fds), POLICY_MEMORY);
    spawn.memory_mib = 0;
    cr_expect_eq((int) decide(1000, 990, spawn, fds), POLICY_MEMORY);
    spawn.memory_mib = 1;
    spawn.vcpus = 5;
    cr_expect_eq((int) decide(1000, 990, spawn, fds), POLICY_VCPUS);
    spawn.vcpus = 1;
    spawn.kind = 1;
    cr_expect_eq((int) decide(1000, 990, spawn, fds), POLICY_NO_VMM, "one vmm line: number 1 is none");
    spawn.style = SPAWN_TRIAL;
    cr_expect_eq((int) decide(1000, 990, spawn, fds), POLICY_ALLOWED);
}

/* Each role with something else in its place. */
Test(policy, spawn_descriptors) {
    const struct wire_request spawn = {.op = WIRE_VMM_SPAWN, .memory_mib = 1, .vcpus = 1};
    struct policy_fd kvm = {.st.st_mode = S_IFCHR, .st.st_rdev = makedev(10, 232), .flags = O_RDWR, .seals = -1};
    struct policy_fd foreign = folder, packet = listener, connected = listener, path = regular_ro, open_memfd = memfd,
                     namespace = regular_ro;
    foreign.st.st_uid = 0;
    packet.socket_type = SOCK_SEQPACKET;
    connected.listening = 0;
    path.flags = O_PATH;
    open_memfd.seals = 0;
    namespace.magic = NSFS_MAGIC;
    const struct {
        int role;
        struct policy_fd fd;
    } bad[] = {
        {SPAWN_ARGS, regular_rw},  {SPAWN_ARGS, open_memfd},  {SPAWN_LOG, regular_ro},  {SPAWN_STATUS, folder},
        {SPAWN_CONSOLE, listener}, {SPAWN_JAIL, regular_rw},  {SPAWN_JAIL, foreign},    {SPAWN_KERNEL, regular_rw},
        {SPAWN_KERNEL, path},      {SPAWN_INITRD, folder},    {SPAWN_ROOT, regular_ro}, {SPAWN_ROOT, kvm},
        {SPAWN_WORK, folder},      {SPAWN_KERNEL, namespace}, {SPAWN_QMP, packet},      {SPAWN_AGENT, connected},
        {SPAWN_TAP, kvm},
    };
    struct policy_fd fds[SPAWN_FDS];
    parse(GOOD);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        good_fds(fds);
        fds[bad[i].role] = bad[i].fd;
        cr_expect_eq((int) decide(1000, 990, spawn, fds), POLICY_DESCRIPTOR, "case %zu", i);
    }
    good_fds(fds);
    fds[SPAWN_LOG].seals = F_SEAL_SEAL;
    cr_expect_eq((int) decide(1000, 990, spawn, fds), POLICY_ALLOWED, "any file of a tmpfs has seals");
    fds[SPAWN_ROOT].st.st_mode = S_IFBLK;
    cr_expect_eq((int) decide(1000, 990, spawn, fds), POLICY_ALLOWED, "a block device as root disk");
}

/* --- what else a request carries -------------------------------------------------------- */

Test(policy, ranges_of_a_list) {
    const struct {
        struct wire_cidr cidr;
        enum policy_reason reason;
    } cases[] = {
        {{0x08080000, 16, 60}, POLICY_ALLOWED},
        {{0x08080808, 32, 0}, POLICY_ALLOWED},
        {{0x08080001, 16, 0}, POLICY_CIDR},
        {{0x08080000, 33, 0}, POLICY_CIDR},
        {{0, 0, 0}, POLICY_CIDR},
        {{0x08080000, 16, 86401}, POLICY_CIDR},
        {{0x0a000000, 8, 0}, POLICY_CIDR},
        {{0x0a010000, 16, 0}, POLICY_CIDR},
        {{0x08000000, 5, 0}, POLICY_CIDR},
        {{0x7f000001, 32, 0}, POLICY_CIDR},
        {{0xa9fea9fe, 32, 0}, POLICY_CIDR},
        {{0xe0000001, 32, 0}, POLICY_CIDR},
        {{0xc0a80a00, 24, 0}, POLICY_ALLOWED},
        {{0xc0a80a07, 32, 0}, POLICY_ALLOWED},
        {{0xc0a80a00, 23, 0}, POLICY_CIDR},
        {{0xc0a80b00, 24, 0}, POLICY_CIDR},
    };
    parse(GOOD "private allow 192.168.10.0/24\n");
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct wire_request list = {.op = WIRE_NET_EGRESS, .kind = WIRE_EGRESS_LIST, .cidr_count = 2};
        list.cidrs[0] = (struct wire_cidr){0x01010101, 32, 0};
        list.cidrs[1] = cases[i].cidr;
        cr_expect_eq((int) decide(1000, 990, list, NULL), (int) cases[i].reason, "case %zu", i);
    }
}

struct room {
    const char *before, *after; /* around a line's number */
    int numbered;               /* which is also its last word */
    unsigned most;
};

/* `count` such lines: the bad one's number. */
static uint32_t parse_lines(const struct room *room, unsigned count) {
    static char text[8192];
    size_t used = 0;
    for (unsigned i = 0; i < count; i++) {
        used += (size_t) snprintf(text + used, sizeof(text) - used, "%s%u%s", room->before, i, room->after);
        if (room->numbered)
            used += (size_t) snprintf(text + used, sizeof(text) - used, " %u", i + 1);
        used += (size_t) snprintf(text + used, sizeof(text) - used, "\n");
    }
    return parse(text);
}

Test(policy, as_many_lines_as_there_is_room_for) {
    static const struct room rooms[] = {{"uplink up", "", 0, POLICY_UPLINKS_MAX},
                                        {"private allow 10.", ".0.0/16", 0, POLICY_PRIVATE_MAX},
                                        {"subnet 10.", ".0.0/22 uid", 1, POLICY_NETS_MAX}};
    for (size_t i = 0; i < sizeof(rooms) / sizeof(rooms[0]); i++) {
        cr_expect_eq(parse_lines(&rooms[i], rooms[i].most), 0, "%s", rooms[i].before);
        cr_expect_eq(parse_lines(&rooms[i], rooms[i].most + 1), rooms[i].most + 1, "%s", rooms[i].before);
    }
    cr_expect_eq(parse("private allow 0.0.0.0/0\nprivate allow 10.0.0.0/8\n"), 2);
}

Test(policy, snapshots) {
    const struct wire_request snap = {.op = WIRE_SNAP_UP};
    const int64_t size = 1 << 20, need = (int64_t) wire_snap_overlay((uint64_t) size);
    const struct policy_fd good[SNAP_FDS] = {{.st.st_mode = S_IFREG,
                                              .st.st_uid = 1000,
                                              .flags = O_RDONLY,
                                              .seals = -1,
                                              .magic = EXT4_SUPER_MAGIC,
                                              .st.st_size = size,
                                              .st.st_ino = 1},
                                             {.st.st_mode = S_IFREG,
                                              .st.st_uid = 1000,
                                              .flags = O_RDWR,
                                              .seals = -1,
                                              .magic = EXT4_SUPER_MAGIC,
                                              .st.st_size = need,
                                              .st.st_blocks = need / 512,
                                              .st.st_ino = 2}};
    struct policy_fd fds[SNAP_FDS];
#define SNAP_IS(change, reason)                                                                                        \
    do {                                                                                                               \
        memcpy(fds, good, sizeof(fds));                                                                                \
        change;                                                                                                        \
        cr_expect_eq((int) decide(1000, 990, snap, fds), (int) (reason), #change);                                     \
    } while (0)
    parse(GOOD "disk-max 1\n");
    SNAP_IS((void) 0, POLICY_ALLOWED);
    SNAP_IS(fds[0].flags = O_RDWR, POLICY_DESCRIPTOR);
    SNAP_IS(fds[1].flags = O_RDONLY, POLICY_DESCRIPTOR);
    SNAP_IS(fds[1].flags = O_RDWR | O_APPEND, POLICY_DESCRIPTOR);
    SNAP_IS(fds[0].flags = O_PATH, POLICY_DESCRIPTOR);
    SNAP_IS(fds[0].st.st_uid = 0, POLICY_DESCRIPTOR);
    SNAP_IS(fds[1].st.st_uid = 1001, POLICY_DESCRIPTOR);
    SNAP_IS(fds[0].st.st_mode = S_IFBLK, POLICY_DESCRIPTOR);
    SNAP_IS(fds[1].st.st_ino = 1, POLICY_DESCRIPTOR);
    SNAP_IS(fds[0].st.st_size = 0, POLICY_DESCRIPTOR);
    SNAP_IS(fds[0].st.st_size = size - 1, POLICY_DESCRIPTOR);
    SNAP_IS(fds[0].st.st_size = size + 512, POLICY_DISK);
    SNAP_IS(fds[1].st.st_size = need - 1, POLICY_OVERLAY);
    SNAP_IS(fds[1].st.st_blocks = need / 512 - 512, POLICY_OVERLAY);
    SNAP_IS(fds[0].magic = NFS_SUPER_MAGIC, POLICY_OVERLAY);
    SNAP_IS(fds[1].magic = BTRFS_SUPER_MAGIC, POLICY_OVERLAY);
}

Test(policy, styles_and_cgroups) {
    const struct policy_fd group = {
        .st.st_mode = S_IFDIR, .st.st_uid = 1000, .flags = O_RDONLY, .seals = -1, .magic = CGROUP2_SUPER_MAGIC};
    struct wire_request spawn = {.op = WIRE_VMM_SPAWN, .memory_mib = 1, .vcpus = 1, .in_cgroup = 1};
    struct policy_fd fds[SPAWN_ROLES];
    parse(GOOD "vmm firecracker /bin/fc\ndisk-max 1\n");
    good_fds(fds);
    fds[SPAWN_CGROUP] = group;
    cr_expect_eq((int) decide(1000, 990, spawn, fds), POLICY_ALLOWED);
    fds[SPAWN_WORK].st.st_size = (1 << 20) + 1;
    cr_expect_eq((int) decide(1000, 990, spawn, fds), POLICY_DISK);
    fds[SPAWN_WORK].st.st_size = 1 << 20;
    fds[SPAWN_CGROUP].st.st_uid = 1001;
    cr_expect_eq((int) decide(1000, 990, spawn, fds), POLICY_DESCRIPTOR, "another account's cgroup");
    fds[SPAWN_CGROUP] = folder;
    cr_expect_eq((int) decide(1000, 990, spawn, fds), POLICY_DESCRIPTOR, "no cgroup");
    fds[SPAWN_CGROUP] = group;
    fds[SPAWN_JAIL] = group;
    cr_expect_eq((int) decide(1000, 990, spawn, fds), POLICY_DESCRIPTOR, "a cgroup is no jail folder");
    spawn.style = SPAWN_BY_NAME;
    cr_expect_eq((int) decide(1000, 990, spawn, fds), POLICY_NO_VMM, "qemu is not started by name");
    spawn.kind = 1;
    good_fds(fds);
    fds[SPAWN_NAMED_FDS] = group;
    cr_expect_eq((int) decide(1000, 990, spawn, fds), POLICY_ALLOWED);
    spawn.style = SPAWN_BY_FD;
    cr_expect_eq((int) decide(1000, 990, spawn, fds), POLICY_NO_VMM, "and firecracker not by descriptor");
}

Test(policy, every_reason_has_a_sentence) {
    for (uint32_t i = 0; i < POLICY_REASONS; i++)
        cr_expect(priv_sentence(i) != NULL && strlen(priv_sentence(i)) > 5);
    cr_expect(priv_sentence(999) != NULL);
}

/* --- the file -------------------------------------------------------------------------- */

static char folder_path[64], file_path[96];

static void write_file(const char *text, mode_t mode) {
    FILE *f = fopen(file_path, "we");
    cr_assert(f != NULL);
    cr_assert(fputs(text, f) >= 0 && fclose(f) == 0);
    cr_assert(chmod(file_path, mode) == 0);
}

static void make_folder(void) {
    if (getuid() != 0)
        cr_skip_test("only root can make a file of root's");
    (void) snprintf(folder_path, sizeof(folder_path), "/tmp/test-policy-XXXXXX");
    cr_assert(mkdtemp(folder_path) != NULL);
    (void) snprintf(file_path, sizeof(file_path), "%s/policy.conf", folder_path);
}

static void remove_folder(void) {
    if (folder_path[0]) {
        (void) unlink(file_path);
        (void) rmdir(file_path);
        (void) rmdir(folder_path);
    }
}

static int fault_of(struct policy_file *file) {
    policy_refresh(file, file_path);
    return (int) file->policy.fault;
}

Test(policy_file, is_read_again_when_it_changes, .init = make_folder, .fini = remove_folder) {
    static struct policy_file file;
    cr_expect_eq(fault_of(&file), POLICY_NO_FILE);
    write_file(GOOD, 0644);
    cr_expect_eq(fault_of(&file), POLICY_ALLOWED);
    cr_expect_eq(file.policy.slots, 3);
    write_file("slots 7\n", 0644);
    cr_expect_eq(fault_of(&file), POLICY_ALLOWED);
    cr_expect_eq(file.policy.slots, 7);
    write_file("slots 7\nx\n", 0644);
    cr_expect_eq(fault_of(&file), POLICY_BAD_LINE);
    cr_expect_eq(file.policy.bad_line, 2);
    cr_assert(unlink(file_path) == 0);
    cr_expect_eq(fault_of(&file), POLICY_NO_FILE);
    cr_expect_eq(file.policy.net_count, 0, "nothing of the old one is left");
}

Test(policy_file, must_be_roots_alone, .init = make_folder, .fini = remove_folder) {
    static struct policy_file file;
    write_file(GOOD, 0664);
    cr_expect_eq(fault_of(&file), POLICY_UNSAFE);
    write_file(GOOD, 0646);
    cr_expect_eq(fault_of(&file), POLICY_UNSAFE);
    write_file(GOOD, 0644);
    cr_expect_eq(fault_of(&file), POLICY_ALLOWED);
    cr_assert(chown(file_path, 1000, 0) == 0);
    cr_expect_eq(fault_of(&file), POLICY_UNSAFE);
    cr_assert(chown(file_path, 0, 0) == 0 && chmod(folder_path, 0777) == 0);
    cr_expect_eq(fault_of(&file), POLICY_UNSAFE);
    cr_assert(chmod(folder_path, 0755) == 0);
    cr_expect_eq(fault_of(&file), POLICY_ALLOWED);
}

Test(policy_file, must_be_a_regular_file_of_bounded_size, .init = make_folder, .fini = remove_folder) {
    static struct policy_file file;
    cr_assert(symlink("/etc/hostname", file_path) == 0);
    cr_expect_eq(fault_of(&file), POLICY_UNSAFE);
    cr_assert(unlink(file_path) == 0 && mkfifo(file_path, 0644) == 0);
    cr_expect_eq(fault_of(&file), POLICY_UNSAFE, "and does not wait for a writer");
    cr_assert(unlink(file_path) == 0 && mkdir(file_path, 0755) == 0);
    cr_expect_eq(fault_of(&file), POLICY_UNSAFE);
    cr_assert(rmdir(file_path) == 0);
    write_file("", 0644);
    cr_assert(truncate(file_path, POLICY_BYTES_MAX + 1) == 0);
    cr_expect_eq(fault_of(&file), POLICY_UNSAFE);
    static char most[POLICY_BYTES_MAX + 1];
    memset(most, '\n', POLICY_BYTES_MAX);
    write_file(most, 0644);
    cr_expect_eq(fault_of(&file), POLICY_ALLOWED, "the greatest size");
}

/* An account's /22 is a /118 of one net for all; the last four bytes are the IPv4 address. */
Test(addr, an_ipv6_address_follows_from_the_ipv4_one) {
    static const uint8_t wanted[16] = {0xfd, 0x62, 0x61, 0x6e, 0x67, 0x65, [12] = 172, 16, 4, 2};
    uint8_t address[16];
    addr_ipv6(address, addr_guest(0xac100400, 0));
    cr_expect_arr_eq(address, wanted, 16);
    cr_expect_eq(SUBNET6_PREFIX, 118);
}

/* The installed default: the template with the group filled in. */
Test(policy_file, the_default_is_good) {
    char text[8192], *at;
    FILE *f = fopen("policy/policy.conf.in", "re");
    if (!f)
        cr_skip_test("not run in the source folder");
    size_t n = fread(text, 1, sizeof(text) - 1, f);
    (void) fclose(f);
    text[n] = '\0';
    cr_expect(parse(text) != 0, "the template itself allows nobody");
    at = strstr(text, "@GID@");
    cr_assert(at != NULL);
    memcpy(at, "990  ", 5);
    cr_expect_eq(parse(text), 0);
    cr_expect_eq((int) decide(1000, 990, (struct wire_request){.op = WIRE_NET_UP}, NULL), POLICY_ALLOWED);
    cr_expect_eq(p.slots, 32);
    cr_expect_eq(p.vmm_count, 1);
}
