#include "guest_ports.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The next word of at most `size` - 1 bytes, ended by one space. 0 without. */
static size_t word(const char **at, const char *end, char *out, size_t size) {
    size_t length = 0;
    while (*at + length < end && (*at)[length] != ' ')
        length++;
    if (length == 0 || length >= size || *at + length == end)
        return 0;
    memcpy(out, *at, length);
    out[length] = '\0';
    *at += length + 1;
    return length;
}

static int read_number(const char *text, uint16_t *out) {
    char *end = NULL;
    unsigned long number = text[0] >= '1' && text[0] <= '9' ? strtoul(text, &end, 10) : 0;
    *out = (uint16_t) number;
    return number > 0 && number <= UINT16_MAX && *end == '\0';
}

static int is_local(const struct guest_port *port) {
    static const uint8_t mapped[13] = {[10] = 255, 255, 127};
    if (port->family == AF_INET)
        return port->address[0] == 127;
    return memcmp(port->address, &in6addr_loopback, sizeof(in6addr_loopback)) == 0 ||
           memcmp(port->address, mapped, sizeof(mapped)) == 0;
}

/* The last word may have spaces and takes the rest of the line. */
static int read_program(const char *at, const char *end, char out[GUEST_PORT_PROGRAM_MAX]) {
    const size_t length = (size_t) (end - at);
    if (length == 0 || length >= GUEST_PORT_PROGRAM_MAX)
        return 0;
    for (size_t i = 0; i < length; i++) {
        if (at[i] < ' ' || at[i] > '~')
            return 0;
    }
    memcpy(out, at, length);
    out[length] = '\0';
    return 1;
}

static int read_line(const char *at, const char *end, struct guest_port *port) {
    char protocol[4], address[INET6_ADDRSTRLEN], number[6];
    *port = (struct guest_port){0};
    if (!word(&at, end, protocol, sizeof(protocol)) || !word(&at, end, address, sizeof(address)) ||
        !word(&at, end, number, sizeof(number)) || !read_program(at, end, port->program))
        return 0;
    port->protocol = strcmp(protocol, "udp") == 0 ? IPPROTO_UDP : IPPROTO_TCP;
    if (port->protocol == IPPROTO_TCP && strcmp(protocol, "tcp") != 0)
        return 0;
    port->family = strchr(address, ':') ? AF_INET6 : AF_INET;
    if (inet_pton(port->family, address, port->address) != 1 || !read_number(number, &port->port))
        return 0;
    port->local = is_local(port);
    return 1;
}

static int by_port(const void *a, const void *b) {
    const struct guest_port *x = a, *y = b;
    if (x->port != y->port)
        return x->port < y->port ? -1 : 1;
    if (x->protocol != y->protocol)
        return x->protocol < y->protocol ? -1 : 1;
    if (x->family != y->family)
        return x->family < y->family ? -1 : 1;
    return memcmp(x->address, y->address, sizeof(x->address));
}

int guest_ports_parse(const char *text, struct guest_port *out, struct err *e) {
    size_t count = 0, kept = 0;
    for (const char *at = text; *at;) {
        const char *end = strchr(at, '\n');
        if (!end || count == GUEST_PORTS_MAX || !read_line(at, end, &out[count]))
            return err_set(e, EPROTO, "the guest's agent answered with something that is no list of ports");
        count++;
        at = end + 1;
    }
    qsort(out, count, sizeof(*out), by_port);
    for (size_t i = 0; i < count; i++) {
        if (kept == 0 || by_port(&out[kept - 1], &out[i]) != 0)
            out[kept++] = out[i];
    }
    return (int) kept;
}
