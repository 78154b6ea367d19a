/* NET_UP and NET_DOWN through the helper against `ip` and `nft` commands doing the
 * same. Run by tests/netns/run.sh BUILD bench [N]. The account has another VM up all
 * along, so bridge and tables exist on both sides: what is measured is one more VM. */
#include "../netns/lab.h"
#include "theirs.h"

#include <signal.h>

#define RUNS_MAX 200

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
    their_network();
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
        their_network_up();
        theirs[i] = now_ms() - t0;
        their_network_down();
    }
    double u = median(up, runs), d = median(down, runs), t = median(theirs, runs);
    printf("bench net_up ours=%.3fms theirs=%.3fms ratio=%.1f aim=20 %s\n", u, t, t / u, t / u >= 20 ? "ok" : "short");
    printf("bench net_down ours=%.3fms theirs=%.3fms ratio=%.2f aim=1 %s\n", d, u, d / u, d <= u ? "ok" : "short");
    close(other.fd);
    lab_end(&h);
    return 0;
}
