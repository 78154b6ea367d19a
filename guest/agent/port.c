#include "agent.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define CLASS "/sys/class/virtio-ports"

/* Opens the port's device, through the node in /dev or one of our own. */
static int node_open(const char *entry) {
    char path[512], number[32];
    (void) snprintf(path, sizeof path, "/dev/%.255s", entry);
    int fd = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
    if (fd >= 0 || errno != ENOENT)
        return fd;
    (void) snprintf(path, sizeof path, CLASS "/%.255s/dev", entry);
    if (agent_read_file(path, number, sizeof number) < 0)
        return -1;
    char *colon = NULL;
    unsigned long major = strtoul(number, &colon, 10);
    unsigned long minor = *colon == ':' ? strtoul(colon + 1, NULL, 10) : 0;
    (void) snprintf(path, sizeof path, "/dev/.banger-agent-%lu", minor);
    if (mknod(path, S_IFCHR | 0600, makedev((unsigned) major, (unsigned) minor)) < 0 && errno != EEXIST)
        return -1;
    fd = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
    (void) unlink(path);
    return fd;
}

static int port_find(void) {
    char path[512], name[64];
    DIR *folder = opendir(CLASS);
    int fd = -1;
    for (const struct dirent *entry; folder && fd < 0 && (entry = readdir(folder)) != NULL;) {
        (void) snprintf(path, sizeof path, CLASS "/%.255s/name", entry->d_name);
        if (entry->d_name[0] != '.' && agent_read_file(path, name, sizeof name) > 0 && strcmp(name, MUX_PORT_NAME) == 0)
            fd = node_open(entry->d_name);
    }
    if (folder)
        (void) closedir(folder);
    return fd;
}

int agent_port_open(void) {
    long pause = 5;
    for (;;) {
        int fd = port_find();
        if (fd >= 0)
            return fd;
        agent_sleep_ms(pause);
        if (pause < 1000)
            pause += pause / 4 + 1;
    }
}

void agent_port_wait(int fd) {
    for (;;) {
        struct pollfd port = {.fd = fd, .events = POLLIN};
        if (poll(&port, 1, -1) > 0 && (port.revents & (POLLIN | POLLHUP)) == POLLIN)
            return;
        agent_sleep_ms(5); /* a port the host has not opened yet is hung up, and readable for its end of file */
    }
}
