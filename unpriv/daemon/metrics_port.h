/* The loopback port for the figures, where the account's settings ask for one: a banger-metrics
 * (unpriv/metrics) that listens and parses, and the text that it asks for. */
#ifndef BANGER_DAEMON_METRICS_PORT_H
#define BANGER_DAEMON_METRICS_PORT_H

#include "../../common/err.h"
#include "../metrics/proto.h"

#include <stdint.h>

#define METRICS_TOKEN_FILE   "metrics.token" /* in the state folder, 0600 */
#define METRICS_INTERVAL_MIN 1
#define METRICS_INTERVAL_MAX 3600

/* Takes up what was stored. What keeps the port from being there is logged, and in the status. */
void metrics_port_begin(void);

/* Where it is (metrics/place.h, 0: nowhere) and for how many seconds a text is good; a negative number
 * leaves that as it is. Kept over restarts. 0 or a negative errno. */
int metrics_port_set(int64_t place, int64_t interval_s, struct err *e);

struct metrics_port {
    int64_t place;                /* 0: nowhere */
    int pid;                      /* 0 while none listens */
    int error;                    /* positive errno of `text` */
    char text[METRICS_SAID_SIZE]; /* what keeps it from listening, or "" */
};
void metrics_port_status(struct metrics_port *status);

#endif
