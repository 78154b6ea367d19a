#include "policy.h"

#include <fcntl.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/sysmacros.h>

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

/* What each of VMM_SPAWN's descriptors may be (enum wire_spawn_fd). */
enum { KIND_REGULAR = 1, KIND_BLOCK = 2, KIND_FOLDER = 4, KIND_TUN = 8, KIND_LISTENER = 16, KIND_MEMFD = 32 };
static const struct {
    int kinds;
    int access; /* O_ACCMODE; -1: see its kind */
} spawn_fds[SPAWN_FDS] = {
    [SPAWN_ARGS] = {KIND_MEMFD, -1},           [SPAWN_LOG] = {KIND_REGULAR, O_RDWR},
    [SPAWN_STATUS] = {KIND_REGULAR, O_RDWR},   [SPAWN_CONSOLE] = {KIND_REGULAR, O_RDWR},
    [SPAWN_JAIL] = {KIND_FOLDER, O_RDONLY},    [SPAWN_KERNEL] = {KIND_REGULAR, O_RDONLY},
    [SPAWN_INITRD] = {KIND_REGULAR, O_RDONLY}, [SPAWN_ROOT] = {KIND_REGULAR | KIND_BLOCK, O_RDWR},
    [SPAWN_WORK] = {KIND_REGULAR, O_RDWR},     [SPAWN_QMP] = {KIND_LISTENER, -1},
    [SPAWN_AGENT] = {KIND_LISTENER, -1},       [SPAWN_TAP] = {KIND_TUN, O_RDWR},
};

static int kind_of(const struct policy_fd *fd, uid_t uid) {
    if (S_ISREG(fd->mode))
        return fd->seals >= 0 ? KIND_REGULAR | KIND_MEMFD : KIND_REGULAR; /* any file of a tmpfs has seals */
    if (S_ISBLK(fd->mode))
        return KIND_BLOCK;
    if (S_ISDIR(fd->mode)) /* it becomes writable in the jail: the caller's own only */
        return fd->uid == uid ? KIND_FOLDER : 0;
    if (S_ISCHR(fd->mode))
        return fd->rdev == makedev(10, 200) ? KIND_TUN : 0;
    if (S_ISSOCK(fd->mode) && fd->socket_domain == AF_UNIX && fd->socket_type == SOCK_STREAM && fd->listening)
        return KIND_LISTENER;
    return 0;
}

static int fd_is_right(const struct policy_fd *fd, int role, uid_t uid) {
    int kind = kind_of(fd, uid);
    if (!(kind & spawn_fds[role].kinds))
        return 0;
    /* O_PATH descriptors prove no right to read; only a folder may be one. */
    if ((fd->flags & O_PATH) && kind != KIND_FOLDER)
        return 0;
    if (spawn_fds[role].kinds == KIND_MEMFD)
        return (fd->flags & O_ACCMODE) == O_RDONLY || (fd->seals & (F_SEAL_WRITE | F_SEAL_FUTURE_WRITE));
    return spawn_fds[role].access < 0 || (fd->flags & O_ACCMODE) == spawn_fds[role].access;
}

static enum policy_reason decide_spawn(const struct policy *policy, const struct policy_who *who,
                                       const struct wire_request *request, const struct policy_fd *fds) {
    int trial = request->kind == WIRE_SPAWN_TRIAL;
    if (!trial && request->kind >= policy->vmm_count)
        return POLICY_NO_VMM;
    if (request->memory_mib > policy->memory_max || (!trial && request->memory_mib == 0))
        return POLICY_MEMORY;
    if (request->vcpus > policy->vcpus_max || (!trial && request->vcpus == 0))
        return POLICY_VCPUS;
    for (uint32_t role = 0; role < wire_request_fds(request); role++) {
        if (!fd_is_right(&fds[role], (int) role, who->uid))
            return POLICY_DESCRIPTOR;
    }
    return POLICY_ALLOWED;
}

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
    if (request->slot >= policy->slots && request->op != WIRE_NET_DOWN)
        return POLICY_SLOT;
    if (request->op == WIRE_NET_EGRESS && request->kind == WIRE_EGRESS_NAT && (!policy->nat || !policy->uplink_count))
        return POLICY_NO_NAT;
    if (request->op == WIRE_VMM_SPAWN)
        return decide_spawn(policy, who, request, fds);
    return POLICY_ALLOWED;
}
