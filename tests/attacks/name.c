/* Lines 7, 15, 16, 27, 29 and 30: names that are taken, what is said, and where nothing is written. */
#include "attack.h"

#include "../../common/io.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

/* A foreign interface under a name that (uid, slot) gives: refused, and as before afterwards. */
static void taken(const char *make, const char *name, int up_fails) {
    lab_sh("%s", make);
    unsigned index = if_nametoindex(name);
    char before[4096];
    expect(index > 0, "control: %s is not made", name);
    (void) lab_try("ip -d -o addr show dev '%s' > %s.a; ip -d -o link show dev '%s' | sed 's/state.*mode//' > %s.b",
                   name, "/tmp/attack", name, "/tmp/attack");
    (void) snprintf(before, sizeof(before), "%s", content("/tmp/attack.a"));
    struct lab_helper h = start(ALICE);
    int r = ask_net(&h, WIRE_NET_UP, 0, 0);
    expect(!up_fails || (r / 1000 == WIRE_FAILED), "NET_UP says %d", r);
    (void) ask_net(&h, WIRE_NET_EGRESS, 0, WIRE_EGRESS_NAT);
    (void) ask_net(&h, WIRE_NET_DOWN, 0, 0);
    (void) slots_of(&h);
    lab_end(&h);
    expect(if_nametoindex(name) == index, "%s is gone or another", name);
    (void) lab_try("ip -d -o addr show dev '%s' > /tmp/attack.a", name);
    expect(strcmp(before, content("/tmp/attack.a")) == 0, "its addresses changed: %s", content("/tmp/attack.a"));
    expect(lab_try("! ip -o link show master '%s' 2>/dev/null | grep -q .", name), "it has a port now");
    (void) lab_try("ip link delete dev '%s'", name);
}
#define TAP    "bt0000ee48000"
#define BRIDGE "bgr0000ee48"
static void foreign_tap(void) {
    taken("ip link add " TAP " type bridge", TAP, 1);
    taken("ip link add " TAP " type veth peer name attack1", TAP, 1);
}
static void foreign_bridge(void) {
    taken("ip link add " BRIDGE " type bridge && ip addr add 10.1.2.3/24 dev " BRIDGE, BRIDGE, 1);
    taken("ip link add " BRIDGE " type veth peer name attack1 && ip link set " BRIDGE " up", BRIDGE, 1);
}
static void alternative_names(void) {
    taken("ip link add attack2 type bridge && ip link property add dev attack2 altname " TAP, "attack2", 1);
    taken("ip link add attack2 type bridge && ip link property add dev attack2 altname " BRIDGE, "attack2", 1);
}
static void foreign_persistent(void) {
    lab_sh("ip tuntap add dev " TAP " mode tap user %d && ip link set " TAP " up", BOB);
    unsigned index = if_nametoindex(TAP);
    struct lab_helper h = start(ALICE);
    int fd = -1;
    struct wire_request rq = request(WIRE_NET_UP, 0, 0);
    struct wire_reply reply = {0};
    expect(exchange(&h, WIRE_NET, &rq, NULL, 0, &reply, &fd) == 0 && reply.verdict == WIRE_FAILED && fd < 0,
           "another account's tap of the name is adopted");
    lab_end(&h);
    expect(if_nametoindex(TAP) == index || !interface_exists(TAP), "it is another one now");
    if (interface_exists(TAP))
        lab_sh("ip link delete " TAP);
}
/* Tables of the administrator's own of our name. */
static void foreign_tables(void) {
    (void) lab_try("nft delete table inet banger 2>/dev/null; nft delete table bridge banger 2>/dev/null");
    lab_sh("nft add table inet banger && nft add chain inet banger mine");
    struct lab_helper h = start(ALICE);
    int fd = -1;
    struct wire_request rq = request(WIRE_NET_UP, 0, 0);
    struct wire_reply reply = {0};
    int r = exchange(&h, WIRE_NET, &rq, NULL, 0, &reply, &fd);
    expect(r == 0 && reply.verdict == WIRE_FAILED && fd < 0, "a VM gets a network without rules (%d %u)", r,
           reply.verdict);
    lab_end(&h);
    expect(lab_try("nft list table inet banger | grep -q 'chain mine'"), "the administrator's table is gone");
    lab_sh("nft delete table inet banger; nft delete table bridge banger 2>/dev/null; true");
}
/* The number of an interface that was taken down is another's by the time it is removed. */
static void reused_index(void) {
    struct lab_helper h = start(ALICE);
    struct guest g = lab_up(&h, ALICE, 0);
    unsigned index = if_nametoindex(TAP);
    expect(g.fd >= 0 && ask_net(&h, WIRE_NET_DOWN, 0, 0) == 0, "control: no tap");
    close(g.fd);
    (void) interface_goes(TAP);
    lab_sh("ip link add attack3 index %u type bridge", index);
    usleep(1500000);
    lab_end(&h);
    expect(if_nametoindex("attack3") == index, "a foreign interface of the old number was removed");
    (void) lab_try("ip link delete attack3 2>/dev/null");
}
/* Forty rounds: nothing grows. */
static void churn(void) {
    struct lab_helper h = start_ready(ALICE);
    pid_t workers[WIRE_WORKERS];
    size_t fds = 0;
    workers_of(&h, workers);
    for (int i = 0; i < 40; i++) {
        struct guest g = lab_up(&h, ALICE, (uint32_t) i % 4);
        expect(g.fd >= 0, "round %d gets no tap", i);
        close(g.fd);
        expect(ask_net(&h, WIRE_NET_DOWN, (uint32_t) i % 4, 0) == 0, "round %d cannot be taken down", i);
        if (i == 1)
            fds = count_fds(workers[WIRE_NET]);
        (void) interface_goes(tap(ALICE, (uint32_t) i % 4));
    }
    expect(count_fds(workers[WIRE_NET]) == fds, "it has %zu descriptors, had %zu", count_fds(workers[WIRE_NET]), fds);
    lab_end(&h);
    expect(!lab_try("nft list ruleset 2>/dev/null | grep -q '" TAP "\\|" BRIDGE "'"), "rules are left");
}
/* Two uids whose low halves are the same share a MAC, and nothing else. */
static void same_low_half(void) {
    const uid_t twin = ALICE + 65536;
    lab_policy(ALLOW "pool 172.16.0.0/12 61000\nsubnet 10.7.0.0/22 uid 126536\nslots 4\n");
    struct lab_helper h = start(ALICE), other = start(twin);
    struct guest a = lab_up(&h, ALICE, 0), b = lab_up(&other, twin, 0);
    expect(a.fd >= 0 && b.fd >= 0 && memcmp(a.mac, b.mac, 6) == 0, "control: two taps, one MAC");
    expect(guest_resolve(&a) && guest_resolve(&b), "control: both have a gateway");
    struct frame f = frame_icmp(NULL, a.mac, a.address, b.address);
    guest_send(&a, &f);
    expect(!guest_gets(&b, &f), "one's frame reaches the other");
    f = frame_icmp(NULL, b.mac, a.address, b.address);
    guest_send(&b, &f);
    expect(!guest_gets(&a, &f), "one may use the other's address");
    expect(ask_net(&other, WIRE_NET_DOWN, 0, 0) == 0 && guest_resolve(&a), "one takes the other's down");
    (void) ask_net(&h, WIRE_NET_DOWN, 0, 0);
    close(a.fd);
    close(b.fd);
    lab_end(&h);
    lab_end(&other);
}

/* --- line 15: what an answer says of others ------------------------------------------------------- */

static struct wire_reply answer(struct lab_helper *h, enum wire_op op, uint32_t slot) {
    struct wire_request rq = request(op, slot, 0);
    struct wire_reply reply = {0};
    rq.op_id = 1;
    (void) exchange(h, WIRE_NET, &rq, NULL, 0, &reply, NULL);
    return reply;
}
static void no_oracle(void) {
    struct lab_helper bobs = start(BOB), h = start(ALICE);
    struct guest g = lab_up(&bobs, BOB, 1);
    struct wire_reply there = answer(&h, WIRE_NET_DOWN, 1), absent = answer(&h, WIRE_NET_DOWN, 2);
    expect(memcmp(&there, &absent, sizeof(there)) == 0, "taking down tells another's slot from none");
    struct wire_reply list = answer(&h, WIRE_NET_LIST, 0);
    static const uint64_t none[sizeof(list.slots) / 8];
    expect(memcmp(list.slots, none, sizeof(none)) == 0, "the list shows another's");
    expect(guest_resolve(&g), "another's was taken down");
    lab_policy("allow uid 61001\npool 172.16.0.0/12 61000\n");
    there = answer(&h, WIRE_NET_UP, 1);
    absent = answer(&h, WIRE_NET_UP, 2);
    expect(there.reason == POLICY_NOT_LISTED && memcmp(&there, &absent, sizeof(there)) == 0,
           "a denial tells another's slot from none");
    expect(there.subnet == 0, "a denial tells the subnet");
    lab_policy(POLICY);
    (void) ask_net(&bobs, WIRE_NET_DOWN, 1, 0);
    close(g.fd);
    lab_end(&bobs);
    lab_end(&h);
}

/* --- lines 16 and 27: what it writes, and where ---------------------------------------------------- */

static void shared_folders(void) {
    static const char *const folders[] = {"/tmp", "/dev/shm",    "/var/tmp",
                                          "/run", "/dev/mapper", "/usr/local/libexec/banger"};
    int watch = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    for (size_t i = 0; i < 6; i++)
        (void) inotify_add_watch(watch, folders[i], IN_CREATE | IN_DELETE | IN_MOVED_TO | IN_MODIFY | IN_ATTRIB);
    struct lab_helper h = start_ready(ALICE);
    struct machine m = machine(&h, ALICE, 0);
    int r = spawn(&h, &m, 0);
    expect(r == 0 && strstr(machine_says(&m), "ready"), "control: no VM: %d", r);
    struct lab_helper second = start_ready(ALICE);
    (void) ask_net(&second, WIRE_NET_EGRESS, 0, WIRE_EGRESS_NAT);
    lab_end(&second);
    char events[4096];
    ssize_t n = read(watch, events, sizeof(events));
    for (ssize_t at = 0; at < n;) {
        const struct inotify_event *e = (const void *) (events + at);
        expect(strncmp(e->name, "banger", 6) != 0 && strncmp(e->name, "bgr", 3) != 0, "%s was made in a shared folder",
               e->len ? e->name : "?");
        expect(e->wd < 4 ? 1 : !(e->mask & (IN_CREATE | IN_MODIFY)), "%s in folder %d", e->len ? e->name : "?", e->wd);
        at += (ssize_t) (sizeof(*e) + e->len);
    }
    machine_end(&m);
    (void) ask_net(&h, WIRE_NET_DOWN, 0, 0);
    lab_end(&h);
}
static int listen_log(void) {
    struct sockaddr_un where = {.sun_family = AF_UNIX, .sun_path = "/dev/log"};
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    (void) unlink("/dev/log");
    if (fd < 0 || bind(fd, (struct sockaddr *) &where, sizeof(where)) || chmod("/dev/log", 0666))
        give_up("cannot listen to the log");
    return fd;
}
static void log_lines(void) {
    static const uint64_t ids[] = {0x0a3e36383c0d0a1bull, 0x9b5b324a6e6b0a00ull, ~0ull, 0x0000000a22223d20ull};
    int log = listen_log();
    struct lab_helper h = start(ALICE);
    for (size_t i = 0; i < 4; i++) {
        struct wire_request rq = request(WIRE_NET_UP, SLOT_MAX - 1, 0);
        char line[1024] = "", id[32];
        rq.op_id = ids[i];
        expect(ask(&h, WIRE_NET, &rq, NULL, 0) == DENIED(POLICY_SLOT), "control: it is not denied");
        ssize_t n = recv(log, line, sizeof(line) - 1, 0);
        int clean_line = n > 0;
        for (ssize_t c = 0; c < n; c++)
            clean_line &= line[c] >= ' ' && line[c] <= '~';
        (void) snprintf(id, sizeof(id), "op=%016llx ", (unsigned long long) ids[i]);
        expect(clean_line && strstr(line, id) && strstr(line, "verdict=denied"), "record %zu: %s", i, line);
        expect(recv(log, line, sizeof(line), 0) < 0, "one request gives two records");
    }
    lab_end(&h);
    close(log);
    (void) unlink("/dev/log");
}
/* A log that nobody reads: requests go on, and nobody waits. */
static void full_log(void) {
    int log = listen_log(), few = 1;
    (void) setsockopt(log, SOL_SOCKET, SO_RCVBUF, &few, sizeof(few));
    struct lab_helper h = start(ALICE);
    long long from = io_now_ms();
    for (int i = 0; i < 600; i++) {
        if (ask_net(&h, WIRE_NET_LIST, 0, 0) != 0)
            give_up("request %d is not answered", i);
    }
    expect(io_now_ms() - from < patience(5000), "600 requests took %lld ms", io_now_ms() - from);
    lab_end(&h);
    close(log);
    (void) unlink("/dev/log");
}

const struct attack name_attacks[] = {
    {"7.5 another interface has the tap's or the bridge's name as its second name", alternative_names},
    {"15.1 answers do not tell another account's slot from none", no_oracle},
    {"16.1 nothing is made in /tmp, /dev/shm, /run or a shared folder", shared_folders},
    {"27.1 operation ids made of line ends, escapes and quotes, in the log", log_lines},
    {"27.2 a log that nobody reads", full_log},
    {"29.2 two uids with the same low half: one MAC, and nothing else in common", same_low_half},
    {"30.1 a foreign interface has the tap's name", foreign_tap},
    {"30.2 a foreign interface has the bridge's name", foreign_bridge},
    {"30.3 a persistent tap of another account has the name", foreign_persistent},
    {"30.4 a table of the administrator's has our tables' name", foreign_tables},
    {"30.5 forty rounds leave no descriptor, interface or rule", churn},
    {"31.1 an interface's number is another's when it is to be removed", reused_index},
    {NULL, NULL}};
