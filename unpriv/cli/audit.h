/* `banger audit`: what the helper recorded (common/chain.h). Root's alone. */
#ifndef BANGER_CLI_AUDIT_H
#define BANGER_CLI_AUDIT_H

#include "options.h"

int command_audit_show(const struct invocation *in);
int command_audit_verify(const struct invocation *in);
int command_audit_rotate(const struct invocation *in);

/* For help. */
extern const char audit_verify_details[], audit_rotate_details[];

#endif
