#include "internal.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#define SPARE_MAX 32

/* A direction of a connection has one only while bytes are in it: idle connections cost none. */
static int spare[SPARE_MAX][2];
static unsigned spares;

int pipe_take(int ends[2]) {
    if (spares > 0) {
        spares--;
        ends[0] = spare[spares][0];
        ends[1] = spare[spares][1];
        return 0;
    }
    if (pipe2(ends, O_NONBLOCK | O_CLOEXEC)) {
        ends[0] = ends[1] = -1;
        return -errno;
    }
    (void) fcntl(ends[1], F_SETPIPE_SZ, PIPE_BYTES); /* past the account's soft limit it stays as it is */
    return 0;
}

void pipe_drop(int ends[2]) {
    if (ends[0] < 0)
        return;
    (void) close(ends[0]);
    (void) close(ends[1]);
    ends[0] = ends[1] = -1;
}

void pipe_give(int ends[2]) {
    if (ends[0] < 0)
        return;
    if (spares == SPARE_MAX) {
        pipe_drop(ends);
        return;
    }
    spare[spares][0] = ends[0];
    spare[spares][1] = ends[1];
    spares++;
    ends[0] = ends[1] = -1;
}
