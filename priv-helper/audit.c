/* Each decision is recorded before it is acted on: a worker sends it to the parent,
 * which writes one line to syslog and says so. */
#include "helper.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <syslog.h>
#include <unistd.h>

#define ACK_DEADLINE_MS 5000

void audit_ask(int record, const struct audit_record *what) {
    struct pollfd wait = {.fd = record, .events = POLLIN};
    char ack;
    if (send(record, what, sizeof(*what), MSG_NOSIGNAL) != (ssize_t) sizeof(*what) ||
        poll(&wait, 1, ACK_DEADLINE_MS) != 1 || recv(record, &ack, 1, MSG_DONTWAIT) != 1)
        _exit(1); /* what is not recorded is not done */
}

/* A datagram in the form syslog(3) writes; without a listener it is lost, and that is
 * not an error. Never waits: a full socket must not stop every account's requests. */
static void to_syslog(int log, const struct audit_record *r) {
    static const struct sockaddr_un where = {.sun_family = AF_UNIX, .sun_path = "/dev/log"};
    char line[256];
    int n = snprintf(
        line, sizeof(line), "<%d>banger-helper[%d]: uid=%u pid=%d op=%016llx operation=%s slot=%u verdict=%s reason=%u",
        LOG_AUTHPRIV | LOG_INFO, getpid(), (unsigned) helper_who.uid, getppid(), (unsigned long long) r->op_id,
        worker_operation(r->op), r->slot, r->verdict == WIRE_DONE ? "allowed" : "denied", r->reason);
    if (n > 0 && (size_t) n < sizeof(line))
        (void) sendto(log, line, (size_t) n, MSG_DONTWAIT | MSG_NOSIGNAL, (const struct sockaddr *) &where,
                      sizeof(where));
}

int audit_open(void) {
    int log = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    die_if(log < 0, "cannot make a socket for syslog");
    return log;
}

void audit_serve(int log, const int records[WIRE_WORKERS]) {
    struct pollfd fds[WIRE_WORKERS];
    for (size_t i = 0; i < WIRE_WORKERS; i++)
        fds[i] = (struct pollfd){.fd = records[i], .events = POLLIN};
    for (;;) {
        if (poll(fds, WIRE_WORKERS, -1) < 0 && errno != EINTR)
            return;
        for (size_t i = 0; i < WIRE_WORKERS; i++) {
            struct audit_record r;
            if (!fds[i].revents)
                continue;
            if (recv(fds[i].fd, &r, sizeof(r), MSG_DONTWAIT) != (ssize_t) sizeof(r))
                return; /* the worker ended */
            to_syslog(log, &r);
            if (send(fds[i].fd, "", 1, MSG_NOSIGNAL | MSG_DONTWAIT) != 1)
                return;
        }
    }
}
