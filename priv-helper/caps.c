#include "helper.h"

#include <errno.h>
#include <linux/capability.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

void helper_die(const char *why) {
    static const char name[] = "banger-helper: ";
    (void) !write(2, name, sizeof(name) - 1);
    (void) !write(2, why, strlen(why));
    (void) !write(2, "\n", 1);
    _exit(1);
}

int helper_reset_signals(void) {
    static const unsigned long by_default[4]; /* struct sigaction as the kernel has it: SIG_DFL */
    sigset_t none;
    /* Libc would refuse its own two, which GNU make passes on ignored; the kernel refuses KILL and STOP. */
    for (int s = 1; s < NSIG; s++) {
        if (syscall(SYS_rt_sigaction, s, by_default, NULL, sizeof(by_default[3])) && s != SIGKILL && s != SIGSTOP)
            return -1;
    }
    (void) sigemptyset(&none);
    return sigprocmask(SIG_SETMASK, &none, NULL);
}

/* As the kernel has them: capabilities 0 to 31, and the others, which the helper never has. */
struct caps {
    struct __user_cap_data_struct low, high;
};

static int exchange(long call, struct caps *caps) {
    struct __user_cap_header_struct self = {.version = _LINUX_CAPABILITY_VERSION_3};
    return (int) syscall(call, &self, caps);
}

static struct caps now(void) {
    struct caps caps = {0};
    die_if(exchange(SYS_capget, &caps), "cannot read its capabilities");
    return caps;
}

int cap_permitted_is(uint32_t permitted) {
    struct caps caps = now();
    return caps.low.permitted == permitted && caps.high.permitted == 0;
}

void cap_limit(uint32_t permitted) {
    struct caps wanted = {.low.permitted = permitted};
    struct caps more = {.low.permitted = permitted | CAP_BIT(CAP_SETUID)};
    die_if(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) || exchange(SYS_capset, &wanted),
           "cannot give up capabilities");
    struct caps have = now();
    /* What cannot fail if something stayed behind is tried, not believed. */
    die_if(memcmp(&have, &wanted, sizeof(have)) != 0 || exchange(SYS_capset, &more) == 0, "capabilities did not go");
}

/* Keeps errno. */
static void set_effective(uint32_t effective) {
    int saved = errno;
    struct caps caps = now(); /* it must not widen what is permitted */
    caps.low.effective = effective;
    die_if(exchange(SYS_capset, &caps), "cannot raise or lower a capability");
    errno = saved;
}

void cap_raise(int cap) {
    set_effective(CAP_BIT(cap));
}

void cap_lower(void) {
    set_effective(0);
}
