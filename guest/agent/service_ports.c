/* The ports that the guest's programs listen on: a line each, "tcp ADDRESS PORT PROGRAM".
 * /proc/net/{tcp,tcp6,udp,udp6} have the sockets (proc(5)), /proc/PID/fd who holds them. */
#include "agent.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SOCKETS_MAX 512
#define PROGRAM_MAX 16 /* TASK_COMM_LEN */

struct listener {
    unsigned long inode;
    unsigned port;
    const char *protocol;
    char address[INET6_ADDRSTRLEN];
    char program[PROGRAM_MAX];
};

struct listeners {
    struct listener list[SOCKETS_MAX];
    size_t count;
};

static const struct source {
    const char *path, *protocol;
    int family;
    int state; /* TCP_LISTEN, or what an unconnected UDP socket has (TCP_CLOSE) */
} sources[] = {
    {"/proc/net/tcp", "tcp", AF_INET, 10},
    {"/proc/net/tcp6", "tcp", AF_INET6, 10},
    {"/proc/net/udp", "udp", AF_INET, 7},
    {"/proc/net/udp6", "udp", AF_INET6, 7},
};

/* The kernel prints an address as 32-bit words in its own byte order. */
static int read_address(const char *hex, int family, char out[INET6_ADDRSTRLEN]) {
    uint32_t words[4] = {0};
    const size_t count = family == AF_INET ? 1 : 4;
    if (strlen(hex) != count * 8)
        return -1;
    for (size_t i = 0; i < count; i++) {
        char word[9] = "";
        memcpy(word, hex + i * 8, 8);
        words[i] = (uint32_t) strtoul(word, NULL, 16);
    }
    return inet_ntop(family, words, out, INET6_ADDRSTRLEN) ? 0 : -1;
}

/* A number up to the byte `end`; -1 where there is none. */
static long number(const char *text, int base, char end) {
    char *stop = NULL;
    long value = strtol(text, &stop, base);
    return stop != text && *stop == end && value >= 0 ? value : -1;
}

/* sl local remote state queues timer retransmits uid timeout inode */
enum { LOCAL = 1, STATE = 3, INODE = 9, FIELDS };

int agent_ports_line(const char *line, int family, int wanted_state, unsigned *port, unsigned long *inode,
                     char address[INET6_ADDRSTRLEN]) {
    char copy[512];
    char *fields[FIELDS], *rest = NULL;
    size_t count = 0;
    (void) snprintf(copy, sizeof copy, "%s", line);
    for (char *field = strtok_r(copy, " ", &rest); field && count < FIELDS; field = strtok_r(NULL, " ", &rest))
        fields[count++] = field;
    char *colon = count == FIELDS ? strchr(fields[LOCAL], ':') : NULL;
    if (!colon || number(fields[STATE], 16, 0) != wanted_state)
        return 0;
    *colon = 0;
    const long at = number(colon + 1, 16, 0), node = number(fields[INODE], 10, 0);
    *port = (unsigned) at;
    *inode = (unsigned long) node;
    return at > 0 && at <= UINT16_MAX && node >= 0 && read_address(fields[LOCAL], family, address) == 0;
}

static void read_source(const struct source *source, struct listeners *all) {
    char line[512];
    FILE *file = fopen(source->path, "re");
    while (file && all->count < SOCKETS_MAX && fgets(line, sizeof line, file)) {
        struct listener *l = &all->list[all->count];
        *l = (struct listener){.protocol = source->protocol, .program = "-"};
        all->count += (size_t) agent_ports_line(line, source->family, source->state, &l->port, &l->inode, l->address);
    }
    if (file)
        (void) fclose(file);
}

/* --- who holds them -------------------------------------------------------------------- */

static void name_holder(struct listeners *all, const char *pid, unsigned long inode) {
    char path[64];
    for (size_t i = 0; i < all->count; i++) {
        struct listener *l = &all->list[i];
        if (l->inode != inode || strcmp(l->program, "-") != 0)
            continue;
        (void) snprintf(path, sizeof path, "/proc/%.20s/comm", pid);
        if (agent_read_file(path, l->program, sizeof l->program) <= 0)
            (void) snprintf(l->program, sizeof l->program, "-");
    }
}

static void look_at_process(struct listeners *all, const char *pid) {
    char path[64], target[64];
    (void) snprintf(path, sizeof path, "/proc/%.20s/fd", pid);
    DIR *folder = opendir(path);
    const struct dirent *entry;
    while (folder && (entry = readdir(folder))) {
        static const char prefix[] = "socket:[";
        const size_t skip = sizeof prefix - 1;
        ssize_t size = readlinkat(dirfd(folder), entry->d_name, target, sizeof target - 1);
        target[size > 0 ? size : 0] = 0;
        const long inode = strncmp(target, prefix, skip) == 0 ? number(target + skip, 10, ']') : -1;
        if (inode > 0)
            name_holder(all, pid, (unsigned long) inode);
    }
    if (folder)
        (void) closedir(folder);
}

static void find_programs(struct listeners *all) {
    DIR *proc = opendir("/proc");
    const struct dirent *entry;
    while (proc && (entry = readdir(proc))) {
        if (entry->d_name[0] >= '1' && entry->d_name[0] <= '9')
            look_at_process(all, entry->d_name);
    }
    if (proc)
        (void) closedir(proc);
}

/* A program may call itself anything: one line stays one line. */
static void print(const struct listener *l) {
    char program[PROGRAM_MAX];
    memcpy(program, l->program, sizeof program);
    for (char *p = program; *p; p++) {
        if (*p < ' ' || *p > '~')
            *p = '?';
    }
    (void) printf("%s %s %u %s\n", l->protocol, l->address, l->port, program);
}

int service_ports(int argc, char **argv) {
    static struct listeners all;
    (void) argc;
    (void) argv;
    for (size_t i = 0; i < sizeof sources / sizeof *sources; i++)
        read_source(&sources[i], &all);
    find_programs(&all);
    for (size_t i = 0; i < all.count; i++)
        print(&all.list[i]);
    return 0;
}
