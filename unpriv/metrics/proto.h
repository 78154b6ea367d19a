/* What the engine and banger-metrics say to each other, over a stream socketpair: one struct
 * metrics_setup from the engine, one struct metrics_hello back; then a byte from banger-metrics for
 * each text that it wants, and a uint32_t size with that many bytes from the engine, 0 where no
 * text could be made. Host-endian. banger-metrics ends when the engine's end is closed. */
#ifndef BANGER_METRICS_PROTO_H
#define BANGER_METRICS_PROTO_H

#include <stdint.h>

#define METRICS_TOKEN_MIN  16
#define METRICS_TOKEN_SIZE 129       /* with its end */
#define METRICS_TEXT_MAX   (8 << 20) /* bytes: more than 4,096 VMs need */
#define METRICS_SAID_SIZE  320

/* banger-metrics's descriptors beside standard error. */
#define METRICS_FD_CONTROL 3

struct metrics_setup {
    uint32_t address; /* where to listen, host byte order */
    uint32_t port;
    uint32_t interval_s; /* a text this old is still good */
    char token[METRICS_TOKEN_SIZE];
};

/* It listens from now on, or ends: then `error` is a positive errno and `text` says why. */
struct metrics_hello {
    int32_t error;
    int32_t pid;
    char text[METRICS_SAID_SIZE];
};

#endif
