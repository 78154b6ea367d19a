/* `banger doctor`: every requirement, with PASS, WARN or FAIL and the remedy. */
#ifndef BANGER_CLI_DOCTOR_H
#define BANGER_CLI_DOCTOR_H

#include "options.h"

#include <cjson/cJSON.h>

/* Exit status 1 when a check fails. */
int command_doctor(const struct invocation *in);

enum verdict { PASS, WARN, FAIL };
/* Adds one check; `remedy` counts where something has to be done. */
void doctor_add(cJSON *checks, const char *name, enum verdict verdict, const char *remedy, const char *fmt, ...)
    __attribute__((format(printf, 5, 6)));

/* doctor_network.c: whether something else has the account's subnet, which way guests leave by, and what
 * Docker does to them. Reads only what every account may. */
void doctor_network(cJSON *checks);

/* doctor_names.c: whether the system's resolver asks banger for .vm, and ssh banger. `server` is where the
 * daemon answers ("127.0.0.1:42069", "" for nowhere). The resolver is asked, for banger's own name. */
void doctor_names(cJSON *checks, const char *server);

#endif
