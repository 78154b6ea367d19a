/* Talking to the kernel by netlink: messages are put one after the other into one
 * buffer, go in one send, and their answers are read to the end. */
#ifndef BANGER_HELPER_NETLINK_H
#define BANGER_HELPER_NETLINK_H

#include <libmnl/libmnl.h>
#include <stddef.h>
#include <stdint.h>

enum netlink_socket { NETLINK_LINKS, NETLINK_RULES, NETLINK_WATCH, NETLINK_SOCKETS };

/* With CAP_NET_ADMIN permitted. 0 or a negative errno. */
int netlink_init(void);

/* The next message, `header` in it; attributes are added with mnl_attr_put_*(), up to
 * NETLINK_MESSAGE_MAX bytes in all. `tolerated`: an errno that is as good as success, or 0. */
#define NETLINK_MESSAGE_MAX 32768
struct nlmsghdr *netlink_add(uint16_t type, uint16_t flags, uint8_t tolerated, const void *header, size_t size);

/* Gets a message that is neither error nor end; non-zero: no kernel writes that. */
typedef int netlink_each(const struct nlmsghdr *h, void *arg);

/* Sends what was added; `each` (may be NULL) gets what is answered. 0 or the first error,
 * negative. Messages about rules are a batch: one error, and nothing of it counts. What
 * cannot be read ends the worker: later answers would be taken for earlier ones. */
int netlink_talk(enum netlink_socket to, netlink_each *each, void *arg);

/* What net_watch()'s socket has, at most a few buffers full. 1 when notifications were lost. */
int netlink_notifications(netlink_each *each, void *arg);

/* --- reading; no socket needed --------------------------------------------------- */

/* An exchange under way. */
struct netlink_exchange {
    uint32_t first, last; /* sequence numbers of its messages; others' answers are passed over */
    uint32_t final;       /* its answer is the last */
    netlink_each *each;
    void *arg;
    int error;       /* the first that no message tolerates, negative */
    int over;        /* the final answer was there */
    int interrupted; /* what was listed changed meanwhile */
};

/* Reads one received buffer (4-byte aligned) into `x`. 0, or -EBADMSG. */
int netlink_parse(const void *bytes, size_t size, struct netlink_exchange *x);
/* The attribute of that type after a header of `header` bytes, or inside of `nest` (may be
 * NULL), with `least` bytes of payload or more; NULL where there is none. */
const struct nlattr *netlink_find(const struct nlmsghdr *h, size_t header, uint16_t type, size_t least);
const struct nlattr *netlink_within(const struct nlattr *nest, uint16_t type, size_t least);

#endif
