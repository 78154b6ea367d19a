/* Waiting for a VMM, with an end to it. */
#ifndef BANGER_VMM_WAIT_H
#define BANGER_VMM_WAIT_H

/* Until when, and what else ends the wait. */
struct vmm_wait {
    long long deadline;         /* io_now_ms */
    int (*given_up)(void *arg); /* looked at about every 100 ms; may be NULL */
    void *arg;
};

/* Waits for `events` (poll bits) on fd: 0, -ETIMEDOUT, -ECANCELED when it was given up,
 * or another negative errno. */
int vmm_wait_fd(int fd, short events, const struct vmm_wait *wait);

/* Sleeps that long, or until the wait ends: 0, -ETIMEDOUT or -ECANCELED. */
int vmm_wait_nap(int ms, const struct vmm_wait *wait);

#endif
