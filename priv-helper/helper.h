/* The helper's frame: what its workers share. Only deny and die, no heap. */
#ifndef BANGER_HELPER_HELPER_H
#define BANGER_HELPER_HELPER_H

#include "../common/wire.h"
#include "../policy/policy.h"

#include <stddef.h>
#include <stdint.h>

/* --- capabilities (caps.c) --------------------------------------------------
 * Raw capset: without /proc libcap-ng asks for each capability by prctl, and in a
 * child of a raw clone it acts for the wrong process. */
#define CAP_BIT(cap) (1u << (cap)) /* of the first 32, which all of the helper's are */

/* Makes `permitted` all this process can ever have; effective and inheritable become
 * empty. Reads back and dies when it is not so. Also right in a raw clone's child. */
void cap_limit(uint32_t permitted);
/* One capability effective, and none. Bracket exactly one call with them (errno is
 * kept). Die on failure. */
void cap_raise(int cap);
void cap_lower(void);
/* Whether exactly these are permitted, for the start-up check. */
int cap_permitted_is(uint32_t permitted);

/* One line to stderr and _exit(1). */
void helper_die(const char *why) __attribute__((noreturn));
static inline void die_if(int failed, const char *why) {
    if (failed)
        helper_die(why);
}

/* SIG_DFL for all signals, none blocked. 0 or -1. */
int helper_reset_signals(void);
/* A socket's option of level SOL_SOCKET, or -1. */
int helper_socket_option(int fd, int name);

/* --- the account (set once by main, before the workers are forked) ---------- */
extern struct policy_who helper_who; /* .uid is the helper's own real uid */

/* --- answers -----------------------------------------------------------------
 * Each gets a well-formed request that the policy allows, does it, and fills the
 * reply's results. 0, or a negative errno with the reply's `step` set to the kernel
 * call that failed. */
struct helper_job {
    const struct wire_request *request;
    const int *fds; /* closed by the caller */
    const struct policy *policy;
    struct wire_reply *reply;
    int reply_fd; /* sent along and closed; -1 for none */
    int own;      /* what the worker asks of itself: nobody sees the reply */
};
typedef int helper_answer(struct helper_job *job);

/* All system calls that a process may make from then on; any other kills it or fails with
 * EPERM. */
struct helper_calls {
    const int *allowed;
    size_t count;
    int kill;
};

/* What a worker is: a row of main.c's table. */
struct helper_worker {
    uint32_t caps;         /* all it keeps permitted */
    int (*init)(void);     /* with all the helper's capabilities permitted; 0 or a negative errno */
    const char *trouble;   /* the sentence when that fails */
    helper_answer *answer; /* of all its operations */
    int (*idle)(int now);  /* may be NULL: does what was put off, `now`, or says after how many milliseconds
                            * without a request it wants to; -1 for never */
    int (*watch)(void);    /* may be NULL: a descriptor; when it is readable, `notice` is called */
    int (*notice)(struct wire_request *request); /* 1: asks `request` of itself (op_id 0), and again afterwards */
    const struct helper_calls *calls;            /* set after init */
    const char *policy_path;                     /* as the worker's own root has it */
};

/* Serves `sock` as worker `number` until the peer or the parent closes. Never returns. */
void worker_run(const struct helper_worker *worker, int sock, int record, enum wire_worker number)
    __attribute__((noreturn));
/* The operation's name for a record. */
const char *worker_operation(uint32_t op);
/* One message with its descriptors, close-on-exec and the caller's. Its bytes; 0: the peer is
 * gone; -1: not all of it could be taken, or it came with other control data (unix(7)). */
ssize_t worker_receive(int sock, void *data, size_t size, int fds[SPAWN_ROLES], size_t *count);
/* 1 when `size` received bytes, in `r` (filled up with zeros where they are fewer), with
 * `fd_count` descriptors are a request that `worker` takes. */
int worker_request_ok(const struct wire_request *r, size_t size, size_t fd_count, enum wire_worker worker);

/* --- audit (audit.c): the worker tells the parent, the parent records ---------- */
struct audit_record {
    uint64_t op_id;
    uint32_t op;
    uint32_t slot;
    uint32_t reason; /* enum policy_reason */
};
/* Worker: returns when the record is written or cannot be, dies when neither can be said. */
enum wire_records audit_ask(int record, const struct audit_record *what);
/* Parent, after its workers are forked and with CAP_SYS_ADMIN permitted: opens syslog and
 * the account's file (common/chain.h). Then it serves records until a worker ends. */
struct audit_log {
    int syslog;
    int file; /* -1: syslog alone */
};
struct audit_log audit_open(void);
void audit_serve(const struct audit_log *log, const int records[WIRE_WORKERS]);

/* --- an empty root (root.c) ---------------------------------------------------
 * In a mount namespace of its own, this process's root becomes a tmpfs with nothing but
 * `nodes` (mode 0600, the folders on the way to them) and, where the policy's folder
 * exists, /policy. `before` (may be NULL) runs with the new root still at
 * ROOT_BUILD_PATH and the host's files in reach. `writable`: nodes may be made in /dev
 * later. With all capabilities permitted. 0 or a negative errno. */
#define ROOT_BUILD_PATH  "/dev"
#define ROOT_POLICY_PATH "/policy/policy.conf"
struct root_node {
    const char *path; /* relative: dev/net/tun */
    unsigned major, minor;
};
int root_enter(const struct root_node *nodes, size_t count, int (*before)(void), int writable);

/* --- net worker (net.c) ------------------------------------------------------ */
int net_init(void);
helper_answer net_answer;
int net_idle(int now);
int net_watch(void);
int net_notice(struct wire_request *request);
extern const struct helper_calls net_calls;

/* --- disk worker (disk.c) ------------------------------------------------------ */
int disk_init(void); /* also where device-mapper is missing: then each operation says so */
helper_answer disk_answer;
extern const struct helper_calls disk_calls;

/* --- vmm worker (jail.c) ------------------------------------------------------
 * It stays in the host's mount namespace. Its seccomp list is inherited by the VMM,
 * and must have what worker.c itself needs: recvmsg sendmsg poll ppoll fcntl
 * getsockopt newfstatat openat read close capget capset exit_group clock_gettime. */
int jail_worker_init(void);
helper_answer jail_answer_spawn;
extern const struct helper_calls jail_calls;

#endif
