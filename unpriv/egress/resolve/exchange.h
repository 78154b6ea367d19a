/* One request of the engine's, from name to reply: servers in turn, UDP and then TCP where an answer was cut. */
#ifndef BANGER_EGRESS_RESOLVE_EXCHANGE_H
#define BANGER_EGRESS_RESOLVE_EXCHANGE_H

#include "resolve.h"

/* Fills the reply and its message. Blocks for RESOLVE_PATIENCE_MS at most. */
void exchange(const struct resolve_request *request, struct resolve_reply *reply, uint8_t message[RESOLVE_MESSAGE_MAX]);

#endif
