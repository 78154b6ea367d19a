#include "metrics.h"

#include "client.h"
#include "config.h"
#include "output.h"
#include "session.h"

#include <errno.h>

int command_metrics(const struct invocation *in) {
    (void) in;
    struct err e = {0};
    cJSON *result = NULL;
    int r = config_load(&e); /* what is wrong with the port's settings is said here */
    if (r == 0)
        r = client_simple("daemon.metrics", NULL, &result, &e);
    if (r < 0)
        return session_failed(r, &e);
    (void) fputs(output_member(result, "text"), stdout);
    cJSON_Delete(result);
    if (fflush(stdout) == 0)
        return 0;
    (void) err_sys(&e, errno, "cannot write the metrics");
    return session_failed(-e.code, &e);
}
