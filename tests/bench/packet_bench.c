/* What a guest's packet costs on its way out (tap, bridge, rules, NAT, uplink) beside 249
 * other VMs' rules, against alone. Run by tests/netns/run.sh BUILD packet [N]. A write to a
 * tap carries the frame through all of it before it returns. */
#include "../netns/lab.h"
#include "theirs.h"

#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>

#define VMS       250
#define FRAMES    4000
#define RUNS_MAX  200
#define FAR       0xc6336407u /* 198.51.100.7 */
#define WARM_RUNS 2

static struct guest guests[VMS];

/* The uplink's other end: a namespace that throws away what comes. */
static void make_uplink(void) {
    int ready[2];
    char c;
    if (pipe(ready))
        exit(2);
    pid_t far = fork();
    if (far == 0) {
        (void) prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (unshare(CLONE_NEWNET) == 0 && write(ready[1], "x", 1) == 1)
            for (;;)
                (void) pause();
        _exit(2);
    }
    if (read(ready[0], &c, 1) != 1)
        exit(2);
    lab_sh(
        "ip link add up0 type veth peer name far address 02:00:00:00:00:01 netns %d && ip addr add 203.0.113.2/24 "
        "dev up0 && ip link set up0 up && nsenter -t %d -n sh -c 'ip addr add 203.0.113.1/24 dev far; ip link set "
        "far up; nft \"add table ip t; add chain ip t c { type filter hook prerouting priority -300; policy drop; }\"' "
        "&& ip route add default via 203.0.113.1 && ip neigh replace 203.0.113.1 lladdr 02:00:00:00:00:01 dev up0",
        far, far);
}

static double send_all(const struct guest *g) {
    struct frame f = frame_udp(g, FAR, 9, 4000);
    double t0 = now_ms();
    for (int i = 0; i < FRAMES; i++)
        guest_send(g, &f);
    return (now_ms() - t0) * 1000 / FRAMES;
}

static int bring(struct lab_helper *h, uint32_t slot) {
    struct wire_reply reply;
    guests[slot] = lab_up(h, LAB_UID, slot);
    return guests[slot].fd < 0 || lab_call(h, WIRE_NET_EGRESS, slot, WIRE_EGRESS_NAT, &reply, NULL) || reply.verdict;
}

int main(int argc, char **argv) {
    int runs = argc > 2 ? atoi(argv[2]) : 20;
    double alone[RUNS_MAX], among[RUNS_MAX];
    if (runs < 4 || runs > RUNS_MAX)
        runs = 20;
    (void) signal(SIGPIPE, SIG_IGN);
    lab_policy("allow gid 61999\npool 172.16.0.0/12 61000\nslots 1000\nnat yes\nuplink default\n");
    make_uplink();
    struct lab_helper h = lab_start(LAB_HELPER, LAB_UID, 1, NULL);
    if (bring(&h, 0) || !guest_resolve(&guests[0])) {
        fprintf(stderr, "the helper made no network\n");
        return 2;
    }
    /* Half before, half after: what the machine does meanwhile is in both figures. */
    for (int i = -WARM_RUNS; i < runs / 2; i++)
        alone[i < 0 ? 0 : i] = send_all(&guests[0]);
    for (uint32_t slot = 1; slot < VMS; slot++)
        if (bring(&h, slot)) {
            fprintf(stderr, "slot %u got no network\n", slot);
            return 2;
        }
    for (int i = 0; i < runs; i++)
        among[i] = send_all(&guests[0]);
    for (uint32_t slot = 1; slot < VMS; slot++) {
        struct wire_reply reply;
        (void) lab_call(&h, WIRE_NET_DOWN, slot, 0, &reply, NULL);
        close(guests[slot].fd);
    }
    sleep(1); /* the kernel takes the taps apart in the background */
    for (int i = runs / 2; i < runs; i++)
        alone[i] = send_all(&guests[0]);
    double one = median(alone, runs), many = median(among, runs);
    printf("bench packet_250 ours=%.3fus theirs=%.3fus ratio=%.2f aim=<=1.1 %s\n", many, one, many / one,
           many / one <= 1.1 ? "ok" : "short");
    lab_end(&h);
    return 0;
}
