#include "wait.h"

#include "../../common/io.h"

#include <errno.h>
#include <poll.h>
#include <time.h>

#define SLICE_MS 100

int vmm_wait_fd(int fd, short events, const struct vmm_wait *wait) {
    for (;;) {
        long long left = wait->deadline - io_now_ms();
        if (wait->given_up && wait->given_up(wait->arg))
            return -ECANCELED;
        if (left <= 0)
            return -ETIMEDOUT;
        int r = io_wait(fd, events, left < SLICE_MS ? (int) left : SLICE_MS);
        if (r != -ETIMEDOUT)
            return r;
    }
}

int vmm_wait_nap(int ms, const struct vmm_wait *wait) {
    struct timespec nap = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L};
    if (wait->given_up && wait->given_up(wait->arg))
        return -ECANCELED;
    if (io_now_ms() + ms > wait->deadline)
        return -ETIMEDOUT;
    (void) nanosleep(&nap, NULL);
    return 0;
}
