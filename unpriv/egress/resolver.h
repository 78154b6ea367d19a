/* The engine's end of banger-resolve (resolve/resolve.h): started when there is something to ask. Thread-safe. */
#ifndef BANGER_EGRESS_RESOLVER_H
#define BANGER_EGRESS_RESOLVER_H

#include "../../common/err.h"
#include "resolve/resolve.h"

#include <stddef.h>

/* What came back, checked as far as its form goes. */
struct resolved {
    struct resolve_reply reply;
    uint8_t message[RESOLVE_MESSAGE_MAX];
};

/* Asks and waits: 0 with `out` filled, or a negative errno with a sentence. */
int resolver_ask(const char *name, uint16_t type, struct resolved *out, struct err *e);

#endif
