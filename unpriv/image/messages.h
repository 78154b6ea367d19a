/* What banger-fetch and banger-import tell the engine: JSON lines on a descriptor of their own
 * (worker.h is the other side). */
#ifndef BANGER_IMAGE_MESSAGES_H
#define BANGER_IMAGE_MESSAGES_H

#include "../../common/err.h"

/* Messages go to what is standard error now, and what a library prints there goes nowhere. Without this
 * call (in tests) they are dropped. `program` is for the sentence. 0 or a negative errno. */
int messages_take(const char *program, struct err *e);

/* Whether the next progress line is due: once in 100 ms. */
int messages_due(void);
/* One line of JSON, without its end. */
void messages_line(const char *text);
/* The last line of a process that failed. */
void messages_failed(const struct err *e);

#endif
