#include "helper.h"

#include <errno.h>
#include <linux/capability.h>
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

static struct __user_cap_header_struct header(void) {
    return (struct __user_cap_header_struct){.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
}

static int set(uint64_t permitted, uint64_t effective) {
    struct __user_cap_header_struct head = header();
    struct __user_cap_data_struct data[2] = {
        {.permitted = (uint32_t) permitted, .effective = (uint32_t) effective},
        {.permitted = (uint32_t) (permitted >> 32), .effective = (uint32_t) (effective >> 32)},
    };
    return (int) syscall(SYS_capset, &head, data);
}

static void get(struct __user_cap_data_struct data[2]) {
    struct __user_cap_header_struct head = header();
    memset(data, 0, 2 * sizeof(data[0]));
    if (syscall(SYS_capget, &head, data))
        helper_die("cannot read its capabilities");
}

uint64_t cap_permitted(void) {
    struct __user_cap_data_struct data[2];
    get(data);
    return data[0].permitted | (uint64_t) data[1].permitted << 32;
}

void cap_limit(uint64_t permitted) {
    struct __user_cap_data_struct data[2];
    if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) || set(permitted, 0))
        helper_die("cannot give up capabilities");
    get(data);
    if ((data[0].permitted | (uint64_t) data[1].permitted << 32) != permitted || data[0].effective ||
        data[1].effective || data[0].inheritable || data[1].inheritable)
        helper_die("capabilities did not go");
    /* What cannot fail if something stayed behind is tried, not believed. */
    if (set(permitted | CAP_BIT(CAP_SETUID), 0) == 0)
        helper_die("a capability that was given up came back");
}

/* The permitted set is read once a process image: cap_raise() must not widen it. */
static void effective(uint64_t bits) {
    int saved = errno;
    if (set(cap_permitted(), bits))
        helper_die("cannot raise or lower a capability");
    errno = saved;
}

void cap_raise(int cap) {
    effective(CAP_BIT(cap));
}

void cap_lower(void) {
    effective(0);
}
