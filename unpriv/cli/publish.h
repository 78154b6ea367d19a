/* Published ports on the command line. */
#ifndef BANGER_CLI_PUBLISH_H
#define BANGER_CLI_PUBLISH_H

#include "options.h"

#include <cjson/cJSON.h>

/* The --publish options as a request's list, NULL without any. */
cJSON *publish_arguments(const struct invocation *in);
/* 0, or why the ports of --publish cannot be had; asked before anything is fetched or made. */
int publish_check(const struct invocation *in, struct err *e);
/* In place of a VM's list "publish": one line for people, "localhost:8080->80/tcp ...". */
void publish_for_people(cJSON *vm);

/* `banger vm publish NAME SPEC...`, with --remove the other way. */
int command_publish(const struct invocation *in);

#endif
