/* A worker's loop: one request, one decision, one record, one act, one reply.
 * Whatever is malformed ends the process. */
#include "helper.h"

#include "../common/fdpass.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct policy_who helper_who;

#define REPLY_DEADLINE_MS 5000

/* The closed list of operations, the worker that has each, and the fields it uses. */
static const struct operation {
    const char *name;
    enum wire_worker worker;
    int slot; /* it names a slot; else the field is 0 */
    uint32_t kind_max;
    int spawn; /* it has memory_mib and vcpus; else they are 0 */
} operations[] = {
    [WIRE_NET_UP] = {"net_up", WIRE_NET, 1, 0, 0},
    [WIRE_NET_DOWN] = {"net_down", WIRE_NET, 1, 0, 0},
    [WIRE_NET_EGRESS] = {"net_egress", WIRE_NET, 1, WIRE_EGRESS_NAT, 0},
    [WIRE_NET_LIST] = {"net_list", WIRE_NET, 0, 0, 0},
    [WIRE_VMM_SPAWN] = {"vmm_spawn", WIRE_VMM, 1, WIRE_SPAWN_TRIAL, 1},
};

#define OPERATIONS (sizeof(operations) / sizeof(operations[0]))

const char *worker_operation(uint32_t op) {
    return op < OPERATIONS && operations[op].name ? operations[op].name : "unknown";
}

int worker_request_ok(const struct wire_request *r, size_t size, size_t fd_count, enum wire_worker worker) {
    static const uint32_t none[sizeof(r->reserved) / sizeof(r->reserved[0])];
    if (size != sizeof(*r) || r->version != WIRE_VERSION || r->size != sizeof(*r) || r->op < WIRE_NET_UP ||
        r->op >= OPERATIONS || memcmp(r->reserved, none, sizeof(none)) != 0)
        return 0;
    const struct operation *op = &operations[r->op];
    return op->worker == worker && r->slot < (op->slot ? SLOT_MAX : 1) && r->kind <= op->kind_max &&
           (op->spawn || (r->memory_mib == 0 && r->vcpus == 0)) && fd_count == wire_request_fds(r);
}

int helper_socket_option(int fd, int name) {
    int value = -1;
    socklen_t size = sizeof(value);
    return getsockopt(fd, SOL_SOCKET, name, &value, &size) ? -1 : value;
}

static void describe(int fd, struct policy_fd *out) {
    struct stat st;
    if (fstat(fd, &st))
        _exit(1);
    *out = (struct policy_fd){
        .mode = st.st_mode,
        .rdev = st.st_rdev,
        .uid = st.st_uid,
        .flags = fcntl(fd, F_GETFL),
        .seals = fcntl(fd, F_GET_SEALS),
        .socket_domain = helper_socket_option(fd, SO_DOMAIN),
        .socket_type = helper_socket_option(fd, SO_TYPE),
        .listening = helper_socket_option(fd, SO_ACCEPTCONN) == 1,
    };
}

/* Decides, records, acts. */
static void handle(const struct helper_worker *worker, int record, struct helper_job *job) {
    static struct policy_file file;
    const struct wire_request *request = job->request;
    struct policy_fd described[FDPASS_MAX];
    for (uint32_t i = 0; i < wire_request_fds(request); i++)
        describe(job->fds[i], &described[i]);
    policy_refresh(&file, worker->policy_path);
    job->policy = &file.policy;
    enum policy_reason reason = policy_decide(&file.policy, &helper_who, request, described);
    uint32_t verdict = reason == POLICY_ALLOWED ? WIRE_DONE : WIRE_DENIED;
    audit_ask(record, &(struct audit_record){request->op_id, request->op, request->slot, verdict, reason});
    job->reply->step = file.policy.bad_line;
    int r = reason == POLICY_ALLOWED ? worker->answer(job) : -EACCES;
    job->reply->verdict = r && verdict == WIRE_DONE ? WIRE_FAILED : verdict;
    job->reply->reason = reason;
    job->reply->error = -r;
    if (r == 0)
        job->reply->step = 0;
}

static void send_reply(int sock, const struct wire_reply *reply, int reply_fd) {
    struct pollfd wait = {.fd = sock, .events = POLLOUT};
    if (poll(&wait, 1, REPLY_DEADLINE_MS) != 1 || !(wait.revents & POLLOUT) ||
        fdpass_send(sock, reply, sizeof(*reply), &reply_fd, reply_fd >= 0 ? 1 : 0))
        _exit(1);
    if (reply_fd >= 0)
        (void) close(reply_fd);
}

static _Noreturn void end(const struct helper_worker *worker) {
    if (worker->idle)
        (void) worker->idle(1);
    _exit(0);
}

/* Waits for a request; the peer's or the parent's end is this process's end. What
 * the worker put off is done when its time has come. */
static void wait_request(const struct helper_worker *worker, int sock, int record) {
    for (;;) {
        struct pollfd wait[] = {{.fd = sock, .events = POLLIN}, {.fd = record}};
        if (poll(wait, 2, worker->idle ? worker->idle(0) : -1) < 0 && errno != EINTR)
            _exit(1);
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
        int fds[FDPASS_MAX];
        struct helper_job job = {.request = &in.request, .fds = fds, .reply = &reply, .reply_fd = -1};
        size_t count = 0;
        wait_request(worker, sock, record);
        ssize_t n = fdpass_recv(sock, in.bytes, sizeof(in.bytes), fds, FDPASS_MAX, &count);
        if (n == 0 && count == 0)
            end(worker);
        die_if(n < 0 || !worker_request_ok(&in.request, (size_t) n, count, number),
               "a malformed request: bangerd and banger-helper must be of one version");
        reply.op = in.request.op;
        reply.op_id = in.request.op_id;
        handle(worker, record, &job);
        fdpass_close(fds, count);
        send_reply(sock, &reply, job.reply_fd);
    }
}
