/* The operation daemon.events (docs/protocol.md). */
#ifndef BANGER_DAEMON_EVENTS_OP_H
#define BANGER_DAEMON_EVENTS_OP_H

#include "../store/events.h"
#include "rpc.h"

rpc_handler op_events;

/* The stable JSON form of an event. */
cJSON *event_json(const struct event *event);

/* What start-up has put right since bangerd was last started after an end on purpose: how many, and
 * the first of them as one text, with the id to see them all from in `*since`. A negative errno with `e` filled. */
int events_mended(char *text, size_t size, int64_t *since, struct err *e);

#endif
