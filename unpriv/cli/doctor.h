/* `banger doctor`: every requirement, with PASS, WARN or FAIL and the remedy. */
#ifndef BANGER_CLI_DOCTOR_H
#define BANGER_CLI_DOCTOR_H

#include "options.h"

/* Exit status 1 when a check fails. */
int command_doctor(const struct invocation *in);

#endif
