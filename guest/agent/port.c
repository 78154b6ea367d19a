#include "agent.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
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

struct agent_port agent_port_open(void) {
    long pause = 5;
    for (;;) {
        struct agent_port port = {.fd = port_find(), .listener = -1};
        if (port.fd < 0)
            port.listener = agent_vsock_listen();
        if (port.fd >= 0 || port.listener >= 0)
            return port;
        agent_sleep_ms(pause);
        if (pause < 1000)
            pause += pause / 4 + 1;
    }
}

/* Waits for a connection, if need be, and for what comes on it: 1 when that is a byte. */
static int greeted(struct agent_port *port) {
    struct pollfd list[] = {{.fd = port->fd, .events = POLLIN}, {.fd = port->listener, .events = POLLIN}};
    if (poll(list, 2, -1) < 0)
        return 0;
    if (list[1].revents) {
        int fd = agent_vsock_accept(port->listener);
        if (fd >= 0 && port->fd >= 0)
            (void) close(port->fd);
        if (fd >= 0)
            port->fd = fd;
        return 0;
    }
    return (list[0].revents & (POLLIN | POLLHUP)) == POLLIN;
}

void agent_port_wait(struct agent_port *port) {
    while (!greeted(port)) {
        char byte;
        if (port->listener < 0) {
            agent_sleep_ms(5); /* a port the host has not opened yet is hung up, and readable for its end of file */
        } else if (port->fd >= 0 && recv(port->fd, &byte, 1, MSG_PEEK) == 0) {
            (void) close(port->fd);
            port->fd = -1;
        }
    }
}
