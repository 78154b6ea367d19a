/* What a failed attempt means, and the sentence for it. */
#ifndef BANGER_IMAGE_FETCH_FAILURES_H
#define BANGER_IMAGE_FETCH_FAILURES_H

#include "transfer.h"

/* 1 where another attempt may go better. */
int failure_is_passing(const struct transfer *t);
/* Fills `e`; returns a negative errno. */
int failure_of(const struct transfer *t, struct err *e);

#endif
