#include "netlink.h"

#include "helper.h"

#include <errno.h>
#include <linux/capability.h>
#include <linux/netlink.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#define DUMP_TRIES     8
#define NLMSG_HDRLEN_U sizeof(struct nlmsghdr)

int nl_open(int protocol) {
    static const struct timeval patience = {.tv_sec = 5};
    struct sockaddr_nl self = {.nl_family = AF_NETLINK};
    cap_raise(CAP_NET_ADMIN); /* the kernel also asks what the opener had */
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol);
    cap_lower();
    if (fd < 0)
        return -errno;
    if (bind(fd, (struct sockaddr *) &self, sizeof(self)) ||
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience))) {
        int error = errno;
        (void) close(fd);
        return -error;
    }
    return fd;
}

static uint32_t next_sequence(void) {
    static uint32_t sequence;
    return ++sequence;
}

void nl_begin(struct nl_request *rq, int fd) {
    rq->fd = fd;
    rq->used = 0;
    rq->message = NULL;
}

static void finish_message(struct nl_request *rq) {
    if (rq->message)
        rq->used += NLMSG_ALIGN(rq->message->nlmsg_len);
    rq->message = NULL;
}

/* What is built is bounded by constants; the check is for the day they change. */
void *nl_message(struct nl_request *rq, uint16_t type, uint16_t flags, size_t extra) {
    finish_message(rq);
    if (rq->used + 4096 > sizeof(rq->bytes))
        abort();
    rq->message = mnl_nlmsg_put_header(rq->bytes + rq->used);
    rq->message->nlmsg_type = type;
    rq->message->nlmsg_flags = (uint16_t) (NLM_F_REQUEST | flags);
    rq->message->nlmsg_seq = next_sequence();
    rq->last = rq->message->nlmsg_seq;
    if (rq->used == 0)
        rq->first = rq->last;
    return mnl_nlmsg_put_extra_header(rq->message, extra);
}

struct answer {
    const struct nl_request *rq;
    nl_callback *callback;
    void *arg;
    int error; /* the first */
    int done;
    int interrupted;
};

static void one_message(struct answer *a, const struct nlmsghdr *h) {
    if (h->nlmsg_seq - a->rq->first > a->rq->last - a->rq->first)
        return; /* a left-over of an earlier request */
    a->interrupted |= h->nlmsg_flags & NLM_F_DUMP_INTR;
    if (h->nlmsg_type == NLMSG_ERROR) {
        const struct nlmsgerr *e = mnl_nlmsg_get_payload(h);
        if (h->nlmsg_len < NLMSG_HDRLEN_U + sizeof(*e))
            return;
        if (e->error && !a->error)
            a->error = e->error;
        /* An nft batch that is refused as a whole is answered on its first message. */
        a->done |= h->nlmsg_seq == a->rq->last || (e->error && h->nlmsg_seq == a->rq->first);
    } else if (h->nlmsg_type == NLMSG_DONE) {
        const int *error = mnl_nlmsg_get_payload(h);
        if (h->nlmsg_len >= NLMSG_HDRLEN_U + sizeof(*error) && *error < 0 && !a->error)
            a->error = *error;
        a->done = 1;
    } else if (a->callback) {
        a->callback(h, a->arg);
    }
}

static int receive(struct answer *a) {
    static union {
        char bytes[32768];
        struct nlmsghdr first;
    } buffer;
    while (!a->done) {
        struct sockaddr_nl from = {0};
        socklen_t from_size = sizeof(from);
        ssize_t n = recvfrom(a->rq->fd, buffer.bytes, sizeof(buffer), MSG_TRUNC, (struct sockaddr *) &from, &from_size);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return errno == EAGAIN ? -ETIMEDOUT : -errno;
        if ((size_t) n > sizeof(buffer))
            return -EMSGSIZE;
        if (from.nl_pid != 0)
            continue; /* not the kernel */
        int left = (int) n;
        for (const struct nlmsghdr *h = &buffer.first; mnl_nlmsg_ok(h, left); h = mnl_nlmsg_next(h, &left))
            one_message(a, h);
    }
    return 0;
}

int nl_talk(struct nl_request *rq, nl_callback *callback, void *arg) {
    static const struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
    finish_message(rq);
    for (int try = 0; try < DUMP_TRIES; try++) {
        struct answer a = {.rq = rq, .callback = callback, .arg = arg};
        cap_raise(CAP_NET_ADMIN);
        ssize_t n = sendto(rq->fd, rq->bytes, rq->used, 0, (const struct sockaddr *) &kernel, sizeof(kernel));
        cap_lower();
        if (n != (ssize_t) rq->used)
            return n < 0 ? -errno : -EMSGSIZE;
        int r = receive(&a);
        if (r || a.error || !a.interrupted)
            return r ? r : a.error;
    }
    return -EINTR;
}
