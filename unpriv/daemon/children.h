/* Starting the monitor's children: each gets exactly the descriptors named, an
 * empty environment, and default signals. */
#ifndef BANGER_DAEMON_CHILDREN_H
#define BANGER_DAEMON_CHILDREN_H

#include <stddef.h>
#include <sys/types.h>

#define CHILD_FDS_MAX 20

struct child {
    const char *path;
    char *const *argv;
    const int *fds; /* become descriptors 0, 1, 2, ...; -1: /dev/null; the rest is closed */
    size_t count;
    int death_signal; /* when the monitor dies; 0: none */
};

/* fork and exec; the pid or a negative errno. What keeps exec from working is
 * written to the child's descriptor 2 as one sentence, and its exit status is 126. */
pid_t child_start(const struct child *child);

#endif
