/* banger-metrics's sockets: the listening one made before it confines itself, served for as long as
 * the engine's end of the control socket is open. */
#ifndef BANGER_METRICS_SERVE_H
#define BANGER_METRICS_SERVE_H

#include "../../common/err.h"
#include "proto.h"

/* Listens where `setup` says: the socket or a negative errno. */
int metrics_listen(const struct metrics_setup *setup, struct err *e);

/* Answers until the engine's end is closed (0) or says what no engine says (-EBADMSG). Bounds:
 * SERVE_CONNECTIONS, of which a new one takes the place of the oldest, of one without the token
 * first; REQUEST_MS for a request, TEXT_MS for the engine, ANSWER_MS for an answer to be read. */
#define SERVE_CONNECTIONS 16
#define SERVE_REQUEST_MS  5000
#define SERVE_TEXT_MS     10000
#define SERVE_ANSWER_MS   10000
#define SERVE_END_MS      1000
int metrics_serve(int control, int listener, const struct metrics_setup *setup);

/* Gives up everything that the loop does not need: no file is seen, and no call but its own
 * works (Landlock, seccomp, rlimits). */
int metrics_confine(struct err *e);

#endif
