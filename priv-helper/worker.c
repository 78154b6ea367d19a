/* A worker's loop: one request, one decision, one record, one act, one reply.
 * Whatever is malformed ends the process. */
#include "helper.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/vfs.h>
#include <unistd.h>

struct policy_who helper_who;

#define REPLY_DEADLINE_MS 5000

/* The closed list of operations, the worker that has each, and what it uses of a
 * request: every other field is 0. */
enum { SLOT = 1, MACHINE = 2 /* style, in_cgroup, memory_mib, vcpus */, CIDRS = 4 /* of the list kinds */ };
static const struct operation {
    const char *name;
    enum wire_worker worker;
    int uses;
    uint32_t kind_max;
} operations[] = {
    {.name = "unknown"}, /* no request has it */
    [WIRE_NET_UP] = {"net_up", WIRE_NET, SLOT, WIRE_TAP_KINDS - 1},
    [WIRE_NET_DOWN] = {"net_down", WIRE_NET, SLOT, 0},
    [WIRE_NET_EGRESS] = {"net_egress", WIRE_NET, SLOT | CIDRS, WIRE_EGRESS_LIST_ADD},
    [WIRE_NET_LIST] = {"net_list", WIRE_NET, 0, 0},
    [WIRE_SNAP_UP] = {"snap_up", WIRE_DISK, SLOT, 0},
    [WIRE_SNAP_DOWN] = {"snap_down", WIRE_DISK, SLOT, 0},
    [WIRE_SNAP_LIST] = {"snap_list", WIRE_DISK, 0, 0},
    [WIRE_VMM_SPAWN] = {"vmm_spawn", WIRE_VMM, SLOT | MACHINE, POLICY_VMMS_MAX - 1},
};

#define OPERATIONS (sizeof(operations) / sizeof(operations[0]))

const char *worker_operation(uint32_t op) {
    return operations[op < OPERATIONS ? op : 0].name;
}

static int is_zero(const void *bytes, size_t size) {
    static const char zeros[sizeof(struct wire_request)];
    return memcmp(bytes, zeros, size) == 0;
}

static int fields_ok(const struct wire_request *r, int uses) {
    uint32_t most = uses & CIDRS && r->kind >= WIRE_EGRESS_LIST ? WIRE_CIDR_MAX : 0;
    if (r->slot >= (uses & SLOT ? SLOT_MAX : 1) || r->cidr_count > most || !is_zero(r->reserved, sizeof(r->reserved)) ||
        !is_zero(&r->cidrs[r->cidr_count], (WIRE_CIDR_MAX - r->cidr_count) * sizeof(r->cidrs[0])))
        return 0;
    if (uses & MACHINE)
        return r->style < SPAWN_STYLES && r->in_cgroup <= 1;
    return r->style == 0 && r->in_cgroup == 0 && r->memory_mib == 0 && r->vcpus == 0;
}

int worker_request_ok(const struct wire_request *r, size_t size, size_t fd_count, enum wire_worker worker) {
    if (size != sizeof(*r) || r->version != WIRE_VERSION || r->size != sizeof(*r) || r->op < WIRE_NET_UP ||
        r->op >= OPERATIONS)
        return 0;
    const struct operation *op = &operations[r->op];
    return op->worker == worker && r->kind <= op->kind_max && fields_ok(r, op->uses) && fd_count == wire_request_fds(r);
}

int helper_socket_option(int fd, int name) {
    int value = -1;
    socklen_t size = sizeof(value);
    return getsockopt(fd, SOL_SOCKET, name, &value, &size) ? -1 : value;
}

ssize_t worker_receive(int sock, void *data, size_t size, int fds[SPAWN_ROLES], size_t *count) {
    union {
        char bytes[CMSG_SPACE(sizeof(int) * SPAWN_ROLES)];
        struct cmsghdr first;
    } control = {0};
    struct iovec iov = {.iov_base = data, .iov_len = size};
    struct msghdr message = {.msg_iov = &iov,
                             .msg_iovlen = 1,
                             .msg_control = &control,
                             .msg_controllen = CMSG_LEN(sizeof(int) * SPAWN_ROLES)};
    ssize_t n = recvmsg(sock, &message, MSG_CMSG_CLOEXEC);
    *count = 0;
    if (n < 0 || (message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)))
        return -1;
    if (message.msg_controllen == 0)
        return n;
    /* The kernel puts all descriptors into one control message. */
    if (control.first.cmsg_level != SOL_SOCKET || control.first.cmsg_type != SCM_RIGHTS ||
        CMSG_NXTHDR(&message, &control.first))
        return -1;
    *count = (control.first.cmsg_len - CMSG_LEN(0)) / sizeof(int);
    memcpy(fds, CMSG_DATA(&control.first), *count * sizeof(int));
    return n;
}

static void describe(int fd, struct policy_fd *out) {
    struct statfs fs;
    *out = (struct policy_fd){
        .flags = fcntl(fd, F_GETFL),
        .seals = fcntl(fd, F_GET_SEALS),
        .socket_domain = helper_socket_option(fd, SO_DOMAIN),
        .socket_type = helper_socket_option(fd, SO_TYPE),
        .listening = helper_socket_option(fd, SO_ACCEPTCONN) == 1,
    };
    if (fstat(fd, &out->st) || fstatfs(fd, &fs))
        _exit(1);
    out->magic = (uint32_t) fs.f_type;
}

/* Decides, records, acts. A worker's own NET_LIST makes the account's rules again, which
 * only bound its guests: it is done whatever becomes of the policy or the record. */
static void handle(const struct helper_worker *worker, int record, struct helper_job *job) {
    static struct policy_file file;
    const struct wire_request *request = job->request;
    struct policy_fd described[SPAWN_ROLES];
    for (uint32_t i = 0; i < wire_request_fds(request); i++)
        describe(job->fds[i], &described[i]);
    policy_refresh(&file, worker->policy_path);
    job->policy = &file.policy;
    const int mends = job->own && request->op == WIRE_NET_LIST;
    enum policy_reason reason = mends ? POLICY_ALLOWED : policy_decide(&file.policy, &helper_who, request, described);
    job->reply->records = audit_ask(record, &(struct audit_record){request->op_id, request->op, request->slot, reason});
    if (job->reply->records == WIRE_RECORDS_NONE && !mends)
        reason = POLICY_NOT_RECORDED;
    job->reply->step = file.policy.bad_line;
    int r = reason == POLICY_ALLOWED ? worker->answer(job) : -EACCES;
    job->reply->verdict = reason != POLICY_ALLOWED ? WIRE_DENIED : r ? WIRE_FAILED : WIRE_DONE;
    job->reply->reason = reason;
    job->reply->error = -r;
    if (r == 0)
        job->reply->step = 0;
}

static void send_reply(int sock, struct wire_reply *reply, int fd) {
    struct pollfd wait = {.fd = sock, .events = POLLOUT};
    union {
        struct cmsghdr head;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control = {.head = {.cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS}};
    struct iovec iov = {.iov_base = reply, .iov_len = sizeof(*reply)};
    struct msghdr message = {.msg_iov = &iov, .msg_iovlen = 1};
    if (fd >= 0) {
        memcpy(CMSG_DATA(&control.head), &fd, sizeof(fd));
        message.msg_control = &control;
        message.msg_controllen = sizeof(control);
    }
    if (poll(&wait, 1, REPLY_DEADLINE_MS) != 1 || sendmsg(sock, &message, MSG_NOSIGNAL) != (ssize_t) sizeof(*reply))
        _exit(1);
    if (fd >= 0)
        (void) close(fd);
}

static _Noreturn void end(const struct helper_worker *worker) {
    if (worker->idle)
        (void) worker->idle(1);
    _exit(0);
}

/* Recorded as what the caller asks. */
static void serve_itself(const struct helper_worker *worker, int record) {
    static const int none[1];
    struct wire_request request;
    while (worker->notice(&request)) {
        struct wire_reply reply = {0};
        struct helper_job job = {.request = &request, .fds = none, .reply = &reply, .reply_fd = -1, .own = 1};
        handle(worker, record, &job);
    }
}

/* Waits for a request; the peer's or the parent's end is this process's end. What
 * the worker put off is done when nobody asks for anything. */
static void wait_request(const struct helper_worker *worker, int sock, int record) {
    for (;;) {
        struct pollfd wait[] = {{.fd = sock, .events = POLLIN},
                                {.fd = record},
                                {.fd = worker->watch ? worker->watch() : -1, .events = POLLIN}};
        int ready = poll(wait, 3, worker->idle ? worker->idle(0) : -1);
        if (ready < 0 && errno != EINTR)
            _exit(1);
        if (ready == 0 && worker->idle)
            (void) worker->idle(1);
        if (wait[2].revents)
            serve_itself(worker, record);
        if (wait[0].revents & POLLIN)
            return;
        if (wait[0].revents || wait[1].revents)
            end(worker);
    }
}

void worker_run(const struct helper_worker *worker, int sock, int record, enum wire_worker number) {
    for (;;) {
        union {
            struct wire_request request;
            char bytes[sizeof(struct wire_request) + 1];
        } in = {0};
        struct wire_reply reply = {.version = WIRE_VERSION, .size = sizeof(reply)};
        int fds[SPAWN_ROLES];
        struct helper_job job = {.request = &in.request, .fds = fds, .reply = &reply, .reply_fd = -1};
        size_t count = 0;
        wait_request(worker, sock, record);
        ssize_t n = worker_receive(sock, in.bytes, sizeof(in.bytes), fds, &count);
        if (n == 0)
            end(worker);
        die_if(n < 0 || !worker_request_ok(&in.request, (size_t) n, count, number),
               "a malformed request: bangerd and banger-helper must be of one version");
        reply.op = in.request.op;
        reply.op_id = in.request.op_id;
        handle(worker, record, &job);
        for (size_t i = 0; i < count; i++)
            (void) close(fds[i]);
        send_reply(sock, &reply, job.reply_fd);
    }
}
