#include "usage.h"

#include "../../common/addr.h"
#include "../../common/cleanup.h"
#include "../../common/io.h"
#include "cgroup.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_link.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Fields after the name, counted from 0 (proc(5) counts from 3). */
enum field { FIELD_PARENT = 1, FIELD_USER = 11, FIELD_SYSTEM = 12, FIELD_PAGES = 21 };

/* --- processes ------------------------------------------------------------------------ */

static const char *field(const char *after_name, enum field number) {
    const char *at = after_name;
    for (unsigned i = 0; at && i < number; i++)
        at = strchr(at + (*at == ' '), ' ');
    return at;
}

static int take(const char *after_name, enum field number, uint64_t *out) {
    const char *at = field(after_name, number);
    char *end = NULL;
    if (!at)
        return -EPROTO;
    *out = strtoull(at, &end, 10);
    return end == at ? -EPROTO : 0;
}

int usage_process_parse(const char *text, struct usage_process *process) {
    uint64_t parent, user, system;
    const char *end = strrchr(text, ')'); /* no later field has one */
    if (!end || end[1] != ' ' || take(end + 1, FIELD_PARENT, &parent) || take(end + 1, FIELD_USER, &user) ||
        take(end + 1, FIELD_SYSTEM, &system) || take(end + 1, FIELD_PAGES, &process->pages))
        return -EPROTO;
    process->parent = (int) parent;
    process->ticks = user + system;
    return 0;
}

/* A file of /proc, NUL-terminated: 0 or a negative errno. */
static int read_text(const char *path, char *text, size_t size) {
    cleanup_fd int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -errno : io_read_some(fd, text, size - 1);
    text[n > 0 ? n : 0] = '\0';
    return n < 0 ? (int) n : 0;
}

static int read_process(int pid, struct usage_process *process) {
    char path[64];
    char text[1024];
    (void) snprintf(path, sizeof(path), "/proc/%d/stat", pid);
    int r = read_text(path, text, sizeof(text));
    return r ? r : usage_process_parse(text, process);
}

/* The pid behind a pidfd: its line in fdinfo; -1 once the process is gone. */
static int pid_of(int pidfd) {
    char path[64];
    char text[512];
    (void) snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", pidfd);
    const char *line = read_text(path, text, sizeof(text)) ? NULL : strstr(text, "\nPid:");
    return line ? (int) strtol(line + strlen("\nPid:"), NULL, 10) : -1;
}

static void add(struct usage *usage, const struct usage_process *process) {
    usage->cpu_us += process->ticks * 1000000u / (uint64_t) sysconf(_SC_CLK_TCK);
    usage->memory += process->pages * (uint64_t) sysconf(_SC_PAGESIZE);
}

/* A process and its children: of a jail, the VMM is one. A pid is the jail's until it is reaped, which
 * is looked at last; one of a child that went meanwhile has another parent. */
static int read_processes(int pidfd, struct usage *usage) {
    char path[64];
    char children[1024];
    struct usage_process process;
    const int jail = pid_of(pidfd);
    if (jail <= 0 || read_process(jail, &process))
        return -ESRCH;
    add(usage, &process);
    (void) snprintf(path, sizeof(path), "/proc/%d/task/%d/children", jail, jail);
    if (read_text(path, children, sizeof(children)))
        return -ESRCH;
    char *rest = children;
    for (const char *word; (word = strsep(&rest, " "));) {
        const int pid = (int) strtol(word, NULL, 10);
        if (pid > 0 && read_process(pid, &process) == 0 && process.parent == jail)
            add(usage, &process);
    }
    return io_wait(pidfd, POLLIN, 0) == -ETIMEDOUT ? 0 : -ESRCH;
}

/* --- network -------------------------------------------------------------------------- */

/* rtnetlink(7): RTM_GETLINK by name needs no privilege. */
struct ask {
    struct nlmsghdr header;
    struct ifinfomsg link;
    struct rtattr name;
    char text[IFNAME_SIZE];
};

static void take_counters(const struct nlmsghdr *header, struct usage *usage) {
    struct rtnl_link_stats64 stats;
    size_t left = IFLA_PAYLOAD(header);
    const struct rtattr *at = IFLA_RTA(NLMSG_DATA(header));
    for (; RTA_OK(at, left); at = RTA_NEXT(at, left)) {
        if (at->rta_type != IFLA_STATS64 || RTA_PAYLOAD(at) < offsetof(struct rtnl_link_stats64, rx_errors))
            continue;
        memset(&stats, 0, sizeof(stats));
        memcpy(&stats, RTA_DATA(at), RTA_PAYLOAD(at) < sizeof(stats) ? RTA_PAYLOAD(at) : sizeof(stats));
        usage->sent = stats.rx_bytes; /* the tap's sides are the other way round */
        usage->received = stats.tx_bytes;
        usage->have |= USAGE_NETWORK;
    }
}

static void read_network(uint32_t slot, struct usage *usage) {
    union {
        struct nlmsghdr header;
        char bytes[16384];
    } answer;
    struct ask ask = {.header = {.nlmsg_len = sizeof(ask), .nlmsg_type = RTM_GETLINK, .nlmsg_flags = NLM_F_REQUEST},
                      .name = {.rta_len = RTA_LENGTH(sizeof(ask.text)), .rta_type = IFLA_IFNAME}};
    addr_tap_name(ask.text, getuid(), slot);
    cleanup_fd int sock = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
    if (sock < 0 || send(sock, &ask, sizeof(ask), 0) != (ssize_t) sizeof(ask))
        return;
    ssize_t n = recv(sock, &answer, sizeof(answer), MSG_DONTWAIT); /* the kernel answers before send returns */
    if (n > 0 && NLMSG_OK(&answer.header, (size_t) n) && answer.header.nlmsg_type == RTM_NEWLINK)
        take_counters(&answer.header, usage);
}

void usage_read(uint32_t slot, int pidfd, struct usage *usage) {
    *usage = (struct usage){0};
    if (slot < SLOT_MAX && cgroup_vm_usage(slot, &usage->cpu_us, &usage->memory) == 0) {
        usage->have |= USAGE_CGROUP;
    } else if (read_processes(pidfd, usage) == 0) {
        usage->have |= USAGE_PROCESS;
    } else {
        usage->cpu_us = usage->memory = 0;
    }
    if (slot < SLOT_MAX)
        read_network(slot, usage);
}
