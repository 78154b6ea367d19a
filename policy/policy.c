#include "policy.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/sysmacros.h>

#define ZFS_SUPER_MAGIC      0x2fc12fc1 /* these two are not in linux/magic.h */
#define BCACHEFS_SUPER_MAGIC 0xca451a4e

/* Deny wins over allow, and both over silence. */
static enum policy_reason listed(const struct policy *policy, const struct policy_who *who) {
    enum policy_reason answer = POLICY_NOT_LISTED;
    for (uint32_t i = 0; i < policy->rule_count; i++) {
        const struct policy_rule *rule = &policy->rules[i];
        int match = !rule->group && rule->id == who->uid;
        for (size_t g = 0; rule->group && g < who->gid_count; g++)
            match |= rule->id == who->gids[g];
        if (match && rule->deny)
            return POLICY_DENIED;
        if (match)
            answer = POLICY_ALLOWED;
    }
    return answer;
}

uint32_t policy_subnet(const struct policy *policy, uid_t uid) {
    for (uint32_t i = 0; i < policy->net_count; i++) {
        const struct policy_net *net = &policy->nets[i];
        if (uid >= net->uid && uid - net->uid < net->count)
            return net->net.address + ((uid - net->uid) << (32 - SUBNET_PREFIX));
    }
    return 0;
}

const struct policy_cidr policy_refused[POLICY_REFUSED] = {
    {0x00000000, 8},  {0x0a000000, 8},  {0x64400000, 10}, {0x7f000000, 8},  {0xa9fe0000, 16},
    {0xac100000, 12}, {0xc0000000, 24}, {0xc0a80000, 16}, {0xc6120000, 15}, {0xe0000000, 3},
};

/* --- egress --------------------------------------------------------------------- */

static uint32_t mask_of(uint32_t prefix) {
    return ~0u << (32 - prefix);
}

static int is_within(uint32_t address, uint32_t prefix, const struct policy_cidr *range) {
    return prefix >= range->prefix && (address & mask_of(range->prefix)) == range->address;
}

static int may_be_reached(const struct policy *policy, const struct wire_cidr *cidr) {
    if (cidr->prefix < 1 || cidr->prefix > 32 || (cidr->address & ~mask_of(cidr->prefix)) ||
        cidr->lifetime > WIRE_LIFETIME_MAX)
        return 0;
    for (uint32_t i = 0; i < policy->private_count; i++) {
        const struct policy_cidr *allowed = &policy->private_allow[i];
        if (allowed->prefix == 0 || is_within(cidr->address, cidr->prefix, allowed))
            return 1;
    }
    for (size_t i = 0; i < POLICY_REFUSED; i++) {
        const struct policy_cidr wide = {cidr->address, cidr->prefix};
        if (is_within(cidr->address, cidr->prefix, &policy_refused[i]) ||
            is_within(policy_refused[i].address, policy_refused[i].prefix, &wide))
            return 0;
    }
    return 1;
}

static enum policy_reason decide_egress(const struct policy *policy, const struct wire_request *request) {
    if (request->kind != WIRE_EGRESS_NONE && (!policy->nat || !policy->uplink_count))
        return POLICY_NO_NAT;
    for (uint32_t i = 0; i < request->cidr_count; i++) {
        if (!may_be_reached(policy, &request->cidrs[i]))
            return POLICY_CIDR;
    }
    return POLICY_ALLOWED;
}

/* --- descriptors ---------------------------------------------------------------- */

/* What each descriptor may be. */
enum {
    KIND_REGULAR = 1,
    KIND_BLOCK = 2,
    KIND_FOLDER = 4,
    KIND_TUN = 8,
    KIND_LISTENER = 16,
    KIND_MEMFD = 32,
    KIND_CGROUP = 64
};
struct fd_rule {
    int kinds;
    int access; /* O_ACCMODE; -1: see its kind */
};
static const struct fd_rule spawn_fds[SPAWN_ROLES] = {
    [SPAWN_ARGS] = {KIND_MEMFD, -1},           [SPAWN_LOG] = {KIND_REGULAR, O_RDWR},
    [SPAWN_STATUS] = {KIND_REGULAR, O_RDWR},   [SPAWN_CONSOLE] = {KIND_REGULAR, O_RDWR},
    [SPAWN_JAIL] = {KIND_FOLDER, O_RDONLY},    [SPAWN_KERNEL] = {KIND_REGULAR, O_RDONLY},
    [SPAWN_INITRD] = {KIND_REGULAR, O_RDONLY}, [SPAWN_ROOT] = {KIND_REGULAR | KIND_BLOCK, O_RDWR},
    [SPAWN_WORK] = {KIND_REGULAR, O_RDWR},     [SPAWN_QMP] = {KIND_LISTENER, -1},
    [SPAWN_AGENT] = {KIND_LISTENER, -1},       [SPAWN_TAP] = {KIND_TUN, O_RDWR},
    [SPAWN_CGROUP] = {KIND_CGROUP, O_RDONLY},
};
static const struct fd_rule snap_fds[SNAP_FDS] = {
    [SNAP_BASE] = {KIND_REGULAR, O_RDONLY}, [SNAP_OVERLAY] = {KIND_REGULAR, O_RDWR}};

/* Where an account has files; on the first RESERVING of them what fallocate(2) reserved stays
 * reserved. A regular file elsewhere (nsfs, proc) is something of the kernel's. */
#define RESERVING 3
static const uint32_t file_systems[] = {EXT4_SUPER_MAGIC, XFS_SUPER_MAGIC,       TMPFS_MAGIC,     BTRFS_SUPER_MAGIC,
                                        F2FS_SUPER_MAGIC, OVERLAYFS_SUPER_MAGIC, NFS_SUPER_MAGIC, SMB2_SUPER_MAGIC,
                                        CIFS_SUPER_MAGIC, FUSE_SUPER_MAGIC,      ZFS_SUPER_MAGIC, BCACHEFS_SUPER_MAGIC};

static int lies_on(const struct policy_fd *fd, size_t kinds) {
    size_t i = 0;
    while (i < kinds && file_systems[i] != fd->magic)
        i++;
    return i < kinds;
}

/* What becomes writable in the jail must be the caller's own. */
static int kind_of_folder(const struct policy_fd *fd, uid_t uid) {
    if (fd->st.st_uid != uid)
        return 0;
    return fd->magic == CGROUP2_SUPER_MAGIC ? KIND_CGROUP : KIND_FOLDER;
}

static int kind_of(const struct policy_fd *fd, uid_t uid) {
    if (S_ISREG(fd->st.st_mode) && lies_on(fd, sizeof(file_systems) / sizeof(file_systems[0])))
        return fd->seals >= 0 ? KIND_REGULAR | KIND_MEMFD : KIND_REGULAR; /* any file of a tmpfs has seals */
    if (S_ISBLK(fd->st.st_mode))
        return KIND_BLOCK;
    if (S_ISDIR(fd->st.st_mode))
        return kind_of_folder(fd, uid);
    if (S_ISCHR(fd->st.st_mode))
        return fd->st.st_rdev == makedev(10, 200) ? KIND_TUN : 0;
    if (S_ISSOCK(fd->st.st_mode) && fd->socket_domain == AF_UNIX && fd->socket_type == SOCK_STREAM && fd->listening)
        return KIND_LISTENER;
    return 0;
}

static int fd_is_right(const struct policy_fd *fd, const struct fd_rule *rule, uid_t uid) {
    int kind = kind_of(fd, uid);
    if (!(kind & rule->kinds))
        return 0;
    /* O_PATH descriptors prove no right to read; only a folder may be one. */
    if ((fd->flags & O_PATH) && !S_ISDIR(fd->st.st_mode))
        return 0;
    if (rule->kinds == KIND_MEMFD)
        return (fd->flags & O_ACCMODE) == O_RDONLY || (fd->seals & (F_SEAL_WRITE | F_SEAL_FUTURE_WRITE));
    return rule->access < 0 || (fd->flags & O_ACCMODE) == rule->access;
}

/* --- snapshots -------------------------------------------------------------------- */

/* A snapshot whose overlay becomes full is lost as a whole. */
static enum policy_reason decide_snap(const struct policy *policy, const struct policy_who *who,
                                      const struct policy_fd *fds) {
    const struct stat *base = &fds[SNAP_BASE].st, *overlay = &fds[SNAP_OVERLAY].st;
    const uint64_t size = (uint64_t) base->st_size, room = (uint64_t) overlay->st_size;
    for (int i = 0; i < SNAP_FDS; i++) {
        if (!fd_is_right(&fds[i], &snap_fds[i], who->uid) || fds[i].st.st_uid != who->uid)
            return POLICY_DESCRIPTOR;
        if (!lies_on(&fds[i], RESERVING))
            return POLICY_OVERLAY;
    }
    /* The kernel would write a loop device's blocks at the end of a file opened for appending. */
    if ((base->st_dev == overlay->st_dev && base->st_ino == overlay->st_ino) || size == 0 || size % 512 != 0 ||
        (fds[SNAP_OVERLAY].flags & O_APPEND))
        return POLICY_DESCRIPTOR;
    if (size > (uint64_t) policy->disk_max << 20)
        return POLICY_DISK;
    if (room < wire_snap_overlay(size) || (uint64_t) overlay->st_blocks * 512 < room)
        return POLICY_OVERLAY;
    return POLICY_ALLOWED;
}

/* --- VMMs ------------------------------------------------------------------------- */

static int has_vmm(const struct policy *policy, const struct wire_request *request) {
    if (request->kind >= policy->vmm_count)
        return 0;
    return (strcmp(policy->vmms[request->kind].name, "firecracker") == 0) == (request->style == SPAWN_BY_NAME);
}

static enum policy_reason decide_spawn(const struct policy *policy, const struct policy_who *who,
                                       const struct wire_request *request, const struct policy_fd *fds) {
    int trial = request->style == SPAWN_TRIAL;
    if (!trial && !has_vmm(policy, request))
        return POLICY_NO_VMM;
    if (request->memory_mib > policy->memory_max || (!trial && request->memory_mib == 0))
        return POLICY_MEMORY;
    if (request->vcpus > policy->vcpus_max || (!trial && request->vcpus == 0))
        return POLICY_VCPUS;
    uint32_t count = wire_request_fds(request);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t role = request->in_cgroup && i == count - 1 ? (uint32_t) SPAWN_CGROUP : i;
        if (!fd_is_right(&fds[i], &spawn_fds[role], who->uid))
            return POLICY_DESCRIPTOR;
        if ((role == SPAWN_ROOT || role == SPAWN_WORK) && (uint64_t) fds[i].st.st_size > (uint64_t) policy->disk_max
                                                                                             << 20)
            return POLICY_DISK;
    }
    return POLICY_ALLOWED;
}

/* ---------------------------------------------------------------------------------- */

enum policy_reason policy_decide(const struct policy *policy, const struct policy_who *who,
                                 const struct wire_request *request, const struct policy_fd *fds) {
    if (policy->fault != POLICY_ALLOWED)
        return policy->fault;
    if (who->uid == 0 || who->uid == 65534 || who->uid == (uid_t) -1)
        return POLICY_SPECIAL;
    enum policy_reason reason = listed(policy, who);
    if (reason != POLICY_ALLOWED)
        return reason;
    if (policy_subnet(policy, who->uid) == 0)
        return POLICY_NO_SUBNET;
    /* What is there may always be taken down, also after `slots` was lowered. */
    if (request->slot >= policy->slots && request->op != WIRE_NET_DOWN && request->op != WIRE_SNAP_DOWN)
        return POLICY_SLOT;
    if (request->op == WIRE_NET_EGRESS)
        return decide_egress(policy, request);
    if (request->op == WIRE_SNAP_UP)
        return decide_snap(policy, who, fds);
    if (request->op == WIRE_VMM_SPAWN)
        return decide_spawn(policy, who, request, fds);
    return POLICY_ALLOWED;
}
