/* A helper that finds the tables of another version in the kernel: the rules become its own at
 * once, and guests that run keep what they have. */
#include "net_world.h"

#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

/* Each line of both tables behind the name of its chain or set: in what order those are does not matter. */
#define LISTING                                                                                                        \
    "for f in bridge inet; do nft -t list table $f banger; done | "                                                    \
    "awk '/^table/ {t = $2} /^\\t(set|chain)/ {c = $1 $2} /^\\t+[^\\t]/ {print t, c, $0}' | sort -s -k 1,2"
/* What ruleset_version stands for. */
#define FIXED   "{ " LISTING "; for s in refused refused6; do nft list set inet banger $s; done; } | cksum"
#define VERSION 1
#define SUM     "2178856899 5743"

static volatile sig_atomic_t over;

static void stop(int number) {
    over = number;
}

/* One ping after another until SIGTERM; exits with 1 when one had no answer. */
static pid_t keep_pinging(struct guest *g) {
    pid_t pid = fork();
    if (pid)
        return pid;
    int lost = 0, sent = 0;
    for (; !over || sent < 20; sent++)
        lost |= !pings(g, WORLD);
    _exit(lost);
}

static int ends_well(pid_t pid) {
    int status = -1;
    (void) kill(pid, SIGTERM);
    return waitpid(pid, &status, 0) == pid && status == 0;
}

static void check_version(void) {
    check(lab_try("nft list set inet banger version | grep -q '0x0000000%d }' && test \"$(" FIXED ")\" = '%s'", VERSION,
                  SUM),
          "upgrade: the rules are those of version %d (if you changed them: raise ruleset_version by one, and VERSION "
          "and SUM here)",
          VERSION);
    lab_sh("echo \"# their sum: $(" FIXED ")\"; " LISTING " >/etc/banger/own");
}

static void check_guests(const char *when, struct guest *a, struct guest *b) {
    struct frame good = frame_icmp(b->mac, a->mac, a->address, b->address);
    struct frame spoofed = frame_icmp(b->mac, a->mac, a->address + 9, b->address);
    check(pings(a, WORLD) && !pings(b, WORLD) && pings(b, WORLD + 1), "upgrade: %s, guests have their nat and list",
          when);
    guest_send(a, &spoofed);
    check(!guest_gets(b, &spoofed), "upgrade: %s, a foreign address is dropped", when);
    guest_send(a, &good);
    check(guest_gets(b, &good), "upgrade: %s, the own one is not", when);
}

/* The helper of the version before made these VMs, and was ended. */
static void test_from_earlier(struct guest *a, struct guest *b, uint32_t op) {
    lab_sh("nft -f tests/netns/earlier.nft");
    check_guests("before it", a, b);
    pid_t pinging = keep_pinging(a);
    (void) poll(NULL, 0, 20);
    struct lab_helper h = lab_start(LAB_HELPER, ALICE, 1, NULL);
    int answer = ask(&h, op, op == WIRE_NET_UP ? 2 : 0, 0);
    check(answer == 0, "upgrade: operation %u over an earlier version's tables (%d)", op, answer);
    check(ends_well(pinging), "upgrade: a guest with nat lost no ping meanwhile");
    check_guests("after it", a, b);
    check(lab_try(LISTING " | cmp -s - /etc/banger/own"), "upgrade: and the rules are this version's, nothing else");
    check(slots(&h) == (op == WIRE_NET_UP ? 7 : 3), "upgrade: all slots are there");
    (void) ask(&h, WIRE_NET_DOWN, 2, 0);
    lab_end(&h);
}

/* A newer helper, of another account say, made them: they stay as they are. */
static void test_from_newer(struct guest *a, struct guest *b) {
    lab_sh("for f in bridge inet; do nft add element $f banger version { 0x%x }; done; "
           "nft add set inet banger newer '{ type mark; }'; nft insert rule inet banger from_guest counter; " LISTING
           " >/etc/banger/newer",
           VERSION + 1);
    struct lab_helper h = lab_start(LAB_HELPER, ALICE, 1, NULL);
    check(ask(&h, WIRE_NET_LIST, 0, 0) == 0 && ask(&h, WIRE_NET_UP, 2, 0) == 0,
          "upgrade: a newer version's tables serve");
    check(lab_try(LISTING " | cmp -s - /etc/banger/newer"), "upgrade: and stay as they are");
    check_guests("over a newer one", a, b);
    (void) ask(&h, WIRE_NET_DOWN, 2, 0);
    lab_end(&h);
}

void test_upgrade(void) {
    (void) signal(SIGTERM, stop);
    lab_policy(POLICY);
    struct lab_helper h = lab_start(LAB_HELPER, ALICE, 1, NULL);
    struct guest a = lab_up(&h, ALICE, 0), b = lab_up(&h, ALICE, 1);
    check(ask(&h, WIRE_NET_EGRESS, 0, WIRE_EGRESS_NAT) == 0 &&
              ask_list(&h, 1, WIRE_EGRESS_LIST, WORLD + 1, 32, 0) == 0 && guest_resolve(&a) && guest_resolve(&b),
          "upgrade: control: a guest with nat, one with a list");
    check_version();
    lab_end(&h);
    test_from_earlier(&a, &b, WIRE_NET_UP);
    test_from_earlier(&a, &b, WIRE_NET_LIST);
    test_from_newer(&a, &b);
    close(a.fd);
    close(b.fd);
    lab_sh("rm /etc/banger/own /etc/banger/newer; nft flush ruleset");
    (void) signal(SIGTERM, SIG_DFL);
}
