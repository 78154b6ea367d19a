/* What people write for a published port: [IP:]HOST:GUEST[/udp]. */
#ifndef BANGER_FORWARD_SPEC_H
#define BANGER_FORWARD_SPEC_H

#include "../../common/err.h"
#include "forward.h"

#include <stddef.h>
#include <stdint.h>

#define PUBLISH_MAX      32  /* of one VM: as many as rules, when each is for both families */
#define PUBLISH_TEXT_MAX 64  /* of one */
#define PUBLISH_LIST_MAX 512 /* of a VM's, separated by spaces */

struct publish {
    uint16_t family;     /* AF_INET, AF_INET6, or AF_UNSPEC: the loopback of both */
    uint16_t protocol;   /* IPPROTO_TCP or IPPROTO_UDP */
    uint8_t address[16]; /* network byte order; of IPv4 the first four bytes */
    uint16_t host;       /* port here, from 1 */
    uint16_t guest;      /* port in the guest, from 1 */
};

/* "8080:80", "localhost:8080:80", "127.0.0.1:8080:80/tcp", "[::1]:53:53/udp". 0, or -EINVAL with a sentence. */
int publish_parse(const char *text, struct publish *out, struct err *e);
/* The shortest text that parses to it. */
void publish_format(const struct publish *publish, char out[PUBLISH_TEXT_MAX]);
/* "localhost", "127.0.0.1", "::1". */
void publish_address(const struct publish *publish, char out[PUBLISH_TEXT_MAX]);
/* 1 when both are the same place on this host: address, port and protocol. */
int publish_same_place(const struct publish *a, const struct publish *b);
/* What banger-forward listens on for it: one rule or two. */
size_t publish_rules(const struct publish *publish, struct forward_rule out[2]);

/* A VM's published ports in the order they were given. */
struct publish_list {
    struct publish items[PUBLISH_MAX];
    size_t count;
};
/* Adds one; -EEXIST or -ENOSPC with a sentence. */
int publish_add(struct publish_list *list, const struct publish *publish, struct err *e);
/* Removes the one at that place; -ENOENT with a sentence. */
int publish_remove(struct publish_list *list, const struct publish *publish, struct err *e);
/* From and to a record's text. What cannot be read is left out; -ENOSPC when it is too long. */
void publish_list_read(const char *text, struct publish_list *list);
int publish_list_write(const struct publish_list *list, char out[PUBLISH_LIST_MAX], struct err *e);

#endif
