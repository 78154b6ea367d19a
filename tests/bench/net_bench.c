/* NET_UP and NET_DOWN through the helper against `ip` and `nft` commands doing the
 * same. Run by tests/netns/run.sh BUILD bench [N]. The account has another VM up all
 * along, so bridge and tables exist on both sides: what is measured is one more VM. */
#include "../netns/lab.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define RUNS_MAX 200

static double now_ms(void) {
    struct timespec t;
    (void) clock_gettime(CLOCK_MONOTONIC, &t);
    return (double) t.tv_sec * 1e3 + (double) t.tv_nsec / 1e6;
}

static int less(const void *a, const void *b) {
    double x = *(const double *) a, y = *(const double *) b;
    return (x > y) - (x < y);
}

static double median(double *v, int n) {
    qsort(v, (size_t) n, sizeof(*v), less);
    return n % 2 ? v[n / 2] : (v[n / 2 - 1] + v[n / 2]) / 2;
}

/* What an administrator would run for one more VM, without a shell in between. */
static void run(char *const argv[]) {
    int status;
    pid_t pid = vfork();
    if (pid == 0) {
        execvp(argv[0], argv);
        _exit(127);
    }
    if (waitpid(pid, &status, 0) != pid || status != 0) {
        fprintf(stderr, "%s %s failed\n", argv[0], argv[1]);
        exit(2);
    }
}
#define RUN(...) run((char *const[]){__VA_ARGS__, NULL})

static void theirs_prepare(void) {
    RUN("ip", "link", "add", "name", "their0", "type", "bridge");
    RUN("ip", "addr", "add", "10.9.0.1/22", "dev", "their0");
    RUN("ip", "link", "set", "their0", "up");
    RUN("nft", "add table bridge theirs; "
               "add set bridge theirs guests { type ifname . ether_addr . ipv4_addr; }; "
               "add chain bridge theirs pre { type filter hook prerouting priority -300; }; "
               "add rule bridge theirs pre iifname . ether saddr . ip saddr @guests accept");
}

static void theirs_up(void) {
    RUN("ip", "tuntap", "add", "dev", "theirt0", "mode", "tap", "vnet_hdr");
    RUN("ip", "link", "set", "theirt0", "master", "their0");
    RUN("ip", "link", "set", "theirt0", "up");
    RUN("nft", "add element bridge theirs guests { theirt0 . 02:62:00:00:00:00 . 10.9.0.2 }");
}

static void theirs_down(void) {
    RUN("nft", "delete element bridge theirs guests { theirt0 . 02:62:00:00:00:00 . 10.9.0.2 }");
    RUN("ip", "link", "del", "theirt0");
}

int main(int argc, char **argv) {
    int runs = argc > 2 ? atoi(argv[2]) : 30;
    double up[RUNS_MAX], down[RUNS_MAX], theirs[RUNS_MAX];
    if (runs < 5 || runs > RUNS_MAX)
        runs = 30;
    (void) signal(SIGPIPE, SIG_IGN);
    lab_policy("allow gid 61999\npool 172.16.0.0/12 61000\nnat yes\nuplink default\n");
    struct lab_helper h = lab_start(LAB_HELPER, LAB_UID, 1, NULL);
    struct guest other = lab_up(&h, LAB_UID, 31);
    if (other.fd < 0) {
        fprintf(stderr, "the helper made no network\n");
        return 2;
    }
    theirs_prepare();
    for (int i = 0; i < runs; i++) {
        struct wire_reply reply;
        double t0 = now_ms();
        struct guest g = lab_up(&h, LAB_UID, (uint32_t) (i % 31));
        up[i] = now_ms() - t0;
        t0 = now_ms();
        if (g.fd < 0 || lab_call(&h, WIRE_NET_DOWN, (uint32_t) (i % 31), 0, &reply, NULL) || reply.verdict)
            return 2;
        down[i] = now_ms() - t0;
        close(g.fd);
        t0 = now_ms();
        theirs_up();
        theirs[i] = now_ms() - t0;
        theirs_down();
    }
    double u = median(up, runs), d = median(down, runs), t = median(theirs, runs);
    printf("bench net_up ours=%.3fms theirs=%.3fms ratio=%.1f aim=20 %s\n", u, t, t / u, t / u >= 20 ? "ok" : "short");
    printf("bench net_down ours=%.3fms theirs=%.3fms ratio=%.2f aim=1 %s\n", d, u, d / u, d <= u ? "ok" : "short");
    close(other.fd);
    lab_end(&h);
    return 0;
}
