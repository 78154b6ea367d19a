/* Netlink requests from fixed buffers: libmnl's attributes, own sockets (every send
 * needs CAP_NET_ADMIN raised around it, every answer must come from the kernel). */
#ifndef BANGER_HELPER_NETLINK_H
#define BANGER_HELPER_NETLINK_H

#include <libmnl/libmnl.h>
#include <stddef.h>
#include <stdint.h>

#define NL_REQUEST_SIZE 32768

/* libmnl's own macros lose bits by this project's warnings. */
#define NL_ATTR_OK(attr, end) mnl_attr_ok(attr, (int) ((const char *) (end) - (const char *) (attr)))
#define NL_FOR_EACH(attr, message, extra)                                                                              \
    for ((attr) = mnl_nlmsg_get_payload_offset(message, extra); NL_ATTR_OK(attr, mnl_nlmsg_get_payload_tail(message)); \
         (attr) = mnl_attr_next(attr))
#define NL_FOR_EACH_NESTED(attr, nest)                                                                                 \
    for ((attr) = mnl_attr_get_payload(nest);                                                                          \
         NL_ATTR_OK(attr, (const char *) mnl_attr_get_payload(nest) + mnl_attr_get_payload_len(nest));                 \
         (attr) = mnl_attr_next(attr))

struct nl_request {
    int fd;
    uint32_t first; /* sequence numbers of its messages */
    uint32_t last;
    size_t used;
    struct nlmsghdr *message; /* the one being built, or NULL */
    _Alignas(struct nlmsghdr) char bytes[NL_REQUEST_SIZE];
};

typedef void nl_callback(const struct nlmsghdr *message, void *arg);

/* A netlink socket (NETLINK_ROUTE, NETLINK_NETFILTER), or a negative errno. */
int nl_open(int protocol);

/* Empties the request; `fd` is what nl_talk() will send it on. */
void nl_begin(struct nl_request *rq, int fd);
/* Appends a message with a zeroed family header of `extra` bytes, which is returned.
 * The message stays open for mnl_attr_put_*(rq->message, ...) until the next call. */
void *nl_message(struct nl_request *rq, uint16_t type, uint16_t flags, size_t extra);

/* Sends it and reads to the acknowledgement of its last message (or the end of its
 * dump). `callback` (may be NULL) gets all messages that are neither. 0, or the first
 * error of any of its messages. An interrupted dump is made again from the start. */
int nl_talk(struct nl_request *rq, nl_callback *callback, void *arg);

#endif
