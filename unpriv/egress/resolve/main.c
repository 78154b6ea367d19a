/* banger-resolve: looks names up with the host's name servers for the engine. See resolve.h; two processes:
 * the dialler (dial.h), and its child, which parses what comes from the network. */
#include "../../../common/fdpass.h"
#include "../../../common/io.h"
#include "confine.h"
#include "dial.h"
#include "exchange.h"

#include <errno.h>
#include <malloc.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define THREAD_STACK 131072
#define TURN_MS      1000

/* --- one request ------------------------------------------------------------------------- */

struct job {
    int to; /* takes the reply */
    struct resolve_request request;
    struct resolve_reply reply;
    uint8_t message[RESOLVE_MESSAGE_MAX];
};

static atomic_int jobs;

static void *work(void *arg) {
    struct job *job = arg;
    exchange(&job->request, &job->reply, job->message);
    struct iovec parts[] = {{&job->reply, sizeof(job->reply)}, {job->message, job->reply.size}};
    const struct msghdr msg = {.msg_iov = parts, .msg_iovlen = 2};
    (void) sendmsg(job->to, &msg, MSG_NOSIGNAL);
    (void) close(job->to);
    free(job);
    jobs--;
    return NULL;
}

/* Takes the descriptor. */
static void begin(const struct resolve_request *request, int to) {
    pthread_t thread;
    pthread_attr_t attr;
    struct job *job = malloc(sizeof(*job));
    (void) pthread_attr_init(&attr);
    (void) pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    (void) pthread_attr_setstacksize(&attr, THREAD_STACK);
    jobs++;
    if (job) {
        job->to = to;
        job->request = *request;
        job->request.name[RESOLVE_NAME_MAX - 1] = '\0';
    }
    if (!job || pthread_create(&thread, &attr, work, job)) {
        (void) close(to);
        free(job);
        jobs--;
    }
    (void) pthread_attr_destroy(&attr);
}

/* --- the parser's loop --------------------------------------------------------------------- */

/* 0 for another turn. */
static int turn(int dialler, long long *busy) {
    const int full = jobs >= RESOLVE_JOBS_MAX;
    struct pollfd p[] = {{.fd = full ? -1 : RESOLVE_FD, .events = POLLIN}, {.fd = dialler}};
    struct resolve_request request;
    size_t count = 0;
    int to = -1;
    (void) poll(p, 2, full ? TURN_MS / 100 : TURN_MS);
    if (p[1].revents) /* resolv.conf has changed: what is under way comes to its end */
        return jobs == 0;
    if (!p[0].revents) {
        if (jobs > 0)
            *busy = io_now_ms();
        return io_now_ms() - *busy > RESOLVE_IDLE_MS;
    }
    ssize_t n = fdpass_recv(RESOLVE_FD, &request, sizeof(request), &to, 1, &count);
    if (n != (ssize_t) sizeof(request) || count != 1)
        return 1;
    *busy = io_now_ms();
    begin(&request, to);
    return 0;
}

static int parse(int dialler, pid_t parent) {
    long long busy = io_now_ms();
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) || getppid() != parent)
        return 1;
    dial_open(dialler);
    (void) mallopt(M_ARENA_MAX, 1); /* others ask /proc when they shrink */
    if (confine_parser())
        return 1;
    while (!turn(dialler, &busy))
        continue;
    return 0;
}

int main(void) {
    int pair[2];
    const pid_t parent = getpid();
    (void) signal(SIGPIPE, SIG_IGN);
    if (dup2(STDOUT_FILENO, STDERR_FILENO) < 0 || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair))
        return 1;
    pid_t child = fork();
    if (child < 0)
        return 1;
    (void) close(pair[child != 0]);
    if (child == 0)
        _exit(parse(pair[1], parent));
    (void) close(RESOLVE_FD);
    return dial_serve(pair[0]);
}
