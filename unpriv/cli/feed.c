#include "feed.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define PIPE_SIZE (1 << 20)

static void *run(void *arg) {
    struct feed *f = arg;
    f->result = f->produce(f->pipe, f->arg, &f->error);
    const uint64_t one = 1;
    (void) !write(f->ended, &one, sizeof(one));
    return NULL;
}

int feed_start(struct feed *f, int (*produce)(int fd, void *arg, struct err *e), void *arg, struct err *e) {
    memset(f, 0, sizeof(*f));
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0)
        return err_sys(e, errno, "cannot make a pipe");
    (void) fcntl(ends[1], F_SETPIPE_SZ, PIPE_SIZE); /* larger is faster; refused is harmless */
    f->produce = produce;
    f->arg = arg;
    f->pipe = ends[1];
    f->ended = eventfd(0, EFD_CLOEXEC);
    int r = f->ended < 0 ? errno : pthread_create(&f->thread, NULL, run, f);
    if (r == 0) {
        f->running = 1;
        return ends[0];
    }
    (void) close(ends[0]);
    (void) close(ends[1]);
    if (f->ended >= 0)
        (void) close(f->ended);
    return err_sys(e, r, "cannot start a thread");
}

void feed_finish(struct feed *f) {
    if (!f->running)
        return;
    f->running = 0;
    (void) pthread_join(f->thread, NULL);
    if (f->pipe >= 0)
        (void) close(f->pipe);
    (void) close(f->ended);
}
