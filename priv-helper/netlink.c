#include "netlink.h"

#include "helper.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/capability.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <string.h>
#include <sys/socket.h>

#define TRIES      8  /* of a listing that changes meanwhile */
#define DRAIN_MAX  16 /* buffers of notifications, before requests have their turn */
#define ERRNO_MAX  4095
#define ANSWER_MAX 32768 /* what the kernel fills at most in a listing */

static int sockets[NETLINK_SOCKETS];
static _Alignas(struct nlmsghdr) char out[5 * NETLINK_MESSAGE_MAX], answer[ANSWER_MAX];
static struct nlmsghdr *last; /* of the messages in `out`; NULL: there are none */

/* Connected: the kernel refuses what other processes send to it. It also asks what the
 * opener of a socket was allowed. */
static int open_socket(int protocol, uint32_t groups) {
    struct sockaddr_nl own = {.nl_family = AF_NETLINK, .nl_groups = groups};
    static const struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
    cap_raise(CAP_NET_ADMIN);
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, protocol);
    cap_lower();
    if (fd < 0)
        return -errno;
    cap_raise(CAP_NET_ADMIN);
    int r = bind(fd, (const struct sockaddr *) &own, sizeof(own));
    cap_lower();
    return r || connect(fd, (const struct sockaddr *) &kernel, sizeof(kernel)) ? -errno : fd;
}

int netlink_init(void) {
    sockets[NETLINK_LINKS] = open_socket(NETLINK_ROUTE, 0);
    sockets[NETLINK_RULES] = open_socket(NETLINK_NETFILTER, 0);
    sockets[NETLINK_WATCH] = open_socket(NETLINK_NETFILTER, 1u << (NFNLGRP_NFTABLES - 1));
    for (int i = 0; i < NETLINK_SOCKETS; i++) {
        if (sockets[i] < 0)
            return sockets[i];
    }
    return 0;
}

int net_watch(void) {
    return sockets[NETLINK_WATCH];
}

static char *end_of(struct nlmsghdr *h) {
    return h ? (char *) h + NLMSG_ALIGN(h->nlmsg_len) : out;
}

/* The tolerated errno is the low byte of the sequence number: it comes back with the answer. */
struct nlmsghdr *netlink_add(uint16_t type, uint16_t flags, uint8_t tolerated, const void *header, size_t size) {
    static uint32_t sequence;
    char *at = end_of(last);
    die_if(at > out + sizeof(out) - NETLINK_MESSAGE_MAX, "its messages to the kernel are longer than their buffer");
    sequence += 1u << 8;
    last = mnl_nlmsg_put_header(at);
    last->nlmsg_type = type;
    last->nlmsg_flags = NLM_F_REQUEST | flags;
    last->nlmsg_seq = sequence | tolerated;
    memcpy(mnl_nlmsg_put_extra_header(last, size), header, size);
    return last;
}

/* The kernel's next buffer into `x`. recv(2)'s result. */
static ssize_t receive(enum netlink_socket from, struct netlink_exchange *x) {
    struct sockaddr_nl sender = {0};
    socklen_t size = sizeof(sender);
    ssize_t n = recvfrom(sockets[from], answer, sizeof(answer), MSG_TRUNC, (struct sockaddr *) &sender, &size);
    if (n >= 0 && sender.nl_pid == 0)
        die_if((size_t) n > sizeof(answer) || netlink_parse(answer, (size_t) n, x),
               "the kernel's answer on netlink cannot be read");
    return n;
}

/* The kernel handles a message within sendto(), and goes on with a listing within
 * recvfrom(): when there is nothing to read, nothing will come. The acknowledgement is
 * that of the last message before a batch's end: older kernels give none for the end. */
int netlink_talk(enum netlink_socket to, netlink_each *each, void *arg) {
    const struct nfgenmsg rules = {.res_id = htons(NFNL_SUBSYS_NFTABLES)};
    const struct nlmsghdr *first = (const struct nlmsghdr *) (const void *) out;
    struct netlink_exchange x = {.final = last->nlmsg_seq, .each = each, .arg = arg, .interrupted = 1};
    last->nlmsg_flags |= NLM_F_ACK;
    if (to == NETLINK_RULES && first->nlmsg_type == NFNL_MSG_BATCH_BEGIN) /* it is RTM_NEWLINK's number */
        (void) netlink_add(NFNL_MSG_BATCH_END, 0, 0, &rules, sizeof(rules));
    x.first = first->nlmsg_seq;
    x.last = last->nlmsg_seq;
    size_t size = (size_t) (end_of(last) - out);
    last = NULL;
    for (int try = 0; try < TRIES && x.interrupted && !x.error; try++) {
        x.over = x.interrupted = 0;
        cap_raise(CAP_NET_ADMIN);
        ssize_t n = sendto(sockets[to], out, size, 0, NULL, 0);
        cap_lower();
        if (n < 0)
            return -errno;
        while (!x.over && receive(to, &x) >= 0)
            ;
        die_if(!x.over && !x.error, "the kernel did not answer on netlink");
    }
    return x.interrupted && !x.error ? -EINTR : x.error;
}

int netlink_notifications(netlink_each *each, void *arg) {
    struct netlink_exchange x = {.last = UINT32_MAX, .each = each, .arg = arg};
    ssize_t n = 0;
    for (int i = 0; i < DRAIN_MAX && n >= 0; i++)
        n = receive(NETLINK_WATCH, &x);
    return n < 0 && errno != EAGAIN;
}

/* --- reading ---------------------------------------------------------------------- */

/* NLMSG_ERROR (also the acknowledgement) and NLMSG_DONE begin with an errno alike. */
static int read_end(const struct nlmsghdr *h, struct netlink_exchange *x) {
    if (mnl_nlmsg_get_payload_len(h) < sizeof(int))
        return -EBADMSG;
    int error = *(const int *) mnl_nlmsg_get_payload(h);
    if (error > 0 || error < -ERRNO_MAX)
        return -EBADMSG;
    if (!x->error && error != -(int) (h->nlmsg_seq & 0xff))
        x->error = error;
    x->over |= h->nlmsg_type == NLMSG_DONE || h->nlmsg_seq == x->final;
    return 0;
}

int netlink_parse(const void *bytes, size_t size, struct netlink_exchange *x) {
    int left = (int) size;
    for (const struct nlmsghdr *h = bytes; left > 0; h = mnl_nlmsg_next(h, &left)) {
        /* mnl_nlmsg_ok() takes a length of 2^31 or more for a negative one. */
        if (left < (int) sizeof(*h) || h->nlmsg_len < sizeof(*h) || h->nlmsg_len > (uint32_t) left)
            return -EBADMSG;
        if (h->nlmsg_seq - x->first <= x->last - x->first) {
            int ends = h->nlmsg_type == NLMSG_ERROR || h->nlmsg_type == NLMSG_DONE;
            x->interrupted |= h->nlmsg_flags & NLM_F_DUMP_INTR;
            if (ends ? read_end(h, x) : h->nlmsg_type < NLMSG_MIN_TYPE || (x->each && x->each(h, x->arg)))
                return -EBADMSG;
        }
    }
    return 0;
}

static const struct nlattr *find(const char *bytes, size_t size, uint16_t type, size_t least) {
    const struct nlattr *a = (const void *) bytes;
    while (mnl_attr_ok(a, (int) (bytes + size - (const char *) a)) && mnl_attr_get_type(a) != type)
        a = mnl_attr_next(a);
    return mnl_attr_ok(a, (int) (bytes + size - (const char *) a)) && mnl_attr_get_payload_len(a) >= least ? a : NULL;
}

const struct nlattr *netlink_find(const struct nlmsghdr *h, size_t header, uint16_t type, size_t least) {
    size_t size = mnl_nlmsg_get_payload_len(h), at = NLMSG_ALIGN(header);
    return size > at ? find((const char *) mnl_nlmsg_get_payload(h) + at, size - at, type, least) : NULL;
}

const struct nlattr *netlink_within(const struct nlattr *nest, uint16_t type, size_t least) {
    return nest ? find(mnl_attr_get_payload(nest), mnl_attr_get_payload_len(nest), type, least) : NULL;
}
