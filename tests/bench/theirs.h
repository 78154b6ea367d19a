/* What net_bench.c and up_bench.c measure against: an administrator's commands for one
 * more VM's network, each a process, without a shell in between. Static functions: each
 * benchmark is one source file and its own program. */
#ifndef BANGER_TESTS_THEIRS_H
#define BANGER_TESTS_THEIRS_H

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static double now_ms(void) {
    struct timespec t;
    (void) clock_gettime(CLOCK_MONOTONIC, &t);
    return (double) t.tv_sec * 1e3 + (double) t.tv_nsec / 1e6;
}

static int less(const void *a, const void *b) {
    double x = *(const double *) a, y = *(const double *) b;
    return (x > y) - (x < y);
}

/* Sorts `v`. */
static double median(double *v, int n) {
    qsort(v, (size_t) n, sizeof(*v), less);
    return n % 2 ? v[n / 2] : (v[n / 2 - 1] + v[n / 2]) / 2;
}

/* `out` (may be NULL) is the line it prints. Ends the program when the command fails. */
static void run(char *const argv[], char out[64]) {
    int ends[2], status = -1;
    pid_t pid = pipe2(ends, O_CLOEXEC) ? -1 : vfork();
    if (pid == 0) {
        if (out)
            (void) dup2(ends[1], 1);
        execvp(argv[0], argv);
        _exit(127);
    }
    close(ends[1]);
    ssize_t n = out ? read(ends[0], out, 63) : 0;
    close(ends[0]);
    if (waitpid(pid, &status, 0) != pid || status != 0) {
        fprintf(stderr, "%s %s failed\n", argv[0], argv[1]);
        exit(2);
    }
    if (out) {
        out[n > 0 ? n : 0] = '\0';
        out[strcspn(out, "\n")] = '\0';
    }
}
#define RUN(out, ...) run((char *const[]){__VA_ARGS__, NULL}, out)

/* Once: what all of an account's VMs share. */
static __attribute__((unused)) void their_network(void) {
    RUN(NULL, "ip", "link", "add", "name", "their0", "type", "bridge");
    RUN(NULL, "ip", "addr", "add", "10.9.0.1/22", "dev", "their0");
    RUN(NULL, "ip", "link", "set", "their0", "up");
    RUN(NULL, "nft",
        "add table bridge theirs; "
        "add set bridge theirs guests { type ifname . ether_addr . ipv4_addr; }; "
        "add chain bridge theirs pre { type filter hook prerouting priority -300; }; "
        "add rule bridge theirs pre iifname . ether saddr . ip saddr @guests accept");
}

static __attribute__((unused)) void their_network_up(void) {
    RUN(NULL, "ip", "tuntap", "add", "dev", "theirt0", "mode", "tap", "vnet_hdr");
    RUN(NULL, "ip", "link", "set", "theirt0", "master", "their0");
    RUN(NULL, "ip", "link", "set", "theirt0", "up");
    RUN(NULL, "nft", "add element bridge theirs guests { theirt0 . 02:62:00:00:00:00 . 10.9.0.2 }");
}

static __attribute__((unused)) void their_network_down(void) {
    RUN(NULL, "nft", "delete element bridge theirs guests { theirt0 . 02:62:00:00:00:00 . 10.9.0.2 }");
    RUN(NULL, "ip", "link", "del", "theirt0");
}

#endif
