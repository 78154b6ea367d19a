#include "agent.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Bytes from argv[0] to the end of the environment, which the kernel lays out in one
 * piece: room for a process's new name. */
static size_t title_room(char **argv) {
    char *end = argv[0] + strlen(argv[0]) + 1;
    for (char **next = argv + 1; *next == end; next++)
        end += strlen(*next) + 1;
    for (char **next = environ; *next == end; next++)
        end += strlen(*next) + 1;
    return (size_t) (end - argv[0]);
}

int main(int argc, char **argv) {
    if (getpid() == 1 && argc > 0)
        agent_boot(argv[0], title_room(argv));
    if (argc == 2 && strcmp(argv[1], "--version") == 0)
        return puts("banger-agent " AGENT_BUILD) < 0;
    if (argc > 2 && strcmp(argv[1], "--service") == 0)
        return agent_service(argc - 2, argv + 2);
    (void) fputs("banger-agent: this program is the first process of a banger VM and does nothing elsewhere\n", stderr);
    return 2;
}
