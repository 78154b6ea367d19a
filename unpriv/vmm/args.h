/* Argument blocks for banger-jail (common/jailargs.h), and the memfds that carry them. */
#ifndef BANGER_VMM_ARGS_H
#define BANGER_VMM_ARGS_H

#include "../../common/err.h"
#include "../../common/jailargs.h"

/* An empty block. */
void vmm_args_start(struct jail_args *args);
/* Appends one argument. What does not fit is remembered, for vmm_args_seal. */
void vmm_args_add(struct jail_args *args, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* The block in a memfd sealed against every change, the caller's; or a negative
 * errno with `e` filled (-E2BIG: an argument did not fit). */
int vmm_args_seal(const struct jail_args *args, struct err *e);

#endif
