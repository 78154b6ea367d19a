#include "agent.h"

#include <stdio.h>
#include <string.h>

static const struct {
    const char *name;
    int (*run)(int argc, char **argv);
} services[] = {
    {"stats", service_stats}, {"ports", service_ports},     {"put", service_put},
    {"get", service_get},     {"session", service_session},
};

int agent_service(int argc, char **argv) {
    for (size_t i = 0; i < sizeof services / sizeof *services; i++)
        if (strcmp(argv[0], services[i].name) == 0) {
            int status = services[i].run(argc, argv);
            return fflush(stdout) == 0 ? status : 1;
        }
    (void) fprintf(stderr, "this agent has no service \"%.60s\"\n", argv[0]);
    return 127;
}
