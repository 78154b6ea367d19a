/* Taps opened by name, egress lists, and rules that somebody removed. */
#include "net_world.h"

#include "../../common/io.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#define MEND_MS 1000

/* --- named taps --------------------------------------------------------------------- */

void test_named(void) {
    struct lab_helper h = lab_start(LAB_HELPER, ALICE, 1, NULL);
    struct wire_reply reply = {0};
    int fd = -1;
    lab_sh("ip tuntap add mode tap vnet_hdr name bt0000ee48001");
    check(ask(&h, WIRE_NET_UP, 1, 0) == FAILED(EEXIST) && ask(&h, WIRE_NET_UP, 1, WIRE_TAP_NAMED) == 0 &&
              ask(&h, WIRE_NET_DOWN, 1, 0) == 0,
          "named: one of nobody's is not taken over, but ended");
    check(lab_call(&h, WIRE_NET_UP, 0, WIRE_TAP_NAMED, &reply, &fd) == 0 && reply.verdict == WIRE_DONE && fd < 0,
          "named: up, without a descriptor");
    check(lab_try("ip -d link show dev bt0000ee48000 | tr '\\n' ' ' | grep -q 'persist on.*user 61000.*bridge_slave'"),
          "named: persistent, the account's, in the bridge");
    check(lab_attach(BOB, "bt0000ee48000") == -EPERM, "named: another account cannot open it");
    for (uint32_t kind = WIRE_TAP_FD; kind <= WIRE_TAP_NAMED; kind++)
        check(ask(&h, WIRE_NET_UP, 0, kind) == FAILED(EEXIST), "named: its slot is live with nobody on it, kind %u",
              kind);
    check(slots(&h) == 1, "named: list shows it");
    fd = lab_attach(ALICE, "bt0000ee48000");
    check(fd >= 0, "named: its owner opens it without a capability");
    struct guest g = {.fd = fd, .address = addr_guest(reply.subnet, 0), .gateway = addr_gateway(reply.subnet)};
    addr_mac(g.mac, ALICE, 0);
    addr_mac(g.gateway_mac, ALICE, 0xffff);
    check(guest_resolve(&g), "named: a guest on it reaches its gateway");
    for (uint32_t kind = WIRE_TAP_FD; kind <= WIRE_TAP_NAMED; kind++)
        check(ask(&h, WIRE_NET_UP, 0, kind) == FAILED(EEXIST), "named: its slot is live in use, kind %u", kind);
    close(fd);
    fd = lab_attach(ALICE, "bt0000ee48000");
    check(fd >= 0, "named: it is there for the next who opens it");
    close(fd);
    check(ask(&h, WIRE_NET_DOWN, 0, 0) == 0 && ask(&h, WIRE_NET_UP, 0, WIRE_TAP_NAMED) == 0,
          "named: down, and at once up again");
    check(ask(&h, WIRE_NET_DOWN, 0, 0) == 0, "named: down");
    lab_end(&h);
    check(!lab_try("ip -o link | grep -q -e bgr -e bt0"), "named: down takes tap and bridge away");
}

/* --- lists ----------------------------------------------------------------------------- */

static int count_listed(const char *address) {
    return lab_try("nft list set inet banger listed | grep -q '%s '", address);
}

static void test_list_changes(struct lab_helper *h, struct guest *a, struct guest *b) {
    check(ask_list(h, 0, WIRE_EGRESS_LIST, 0x0a000000, 8, 0) == DENIED(POLICY_CIDR), "list: no private range");
    check(ask_list(h, 3, WIRE_EGRESS_LIST, WORLD, 32, 0) == FAILED(ENOENT), "list: a slot that is not up is ENOENT");
    check(ask_list(h, 0, WIRE_EGRESS_LIST, WORLD, 32, 0) == 0 && pings(a, WORLD), "list: its address answers");
    check(!pings(a, WORLD + 1) && !pings(a, WORLD_OWN) && !pings(a, HOST_UPLINK), "list: and nothing else");
    check(!pings(b, WORLD), "list: nor for the account's other guest");
    struct frame spoofed = frame_icmp(b->gateway_mac, b->mac, a->address, WORLD);
    guest_send(b, &spoofed);
    check(!guest_pinged(a, WORLD), "list: nor with the first one's address");
    check(ask_list(h, 0, WIRE_EGRESS_LIST_ADD, WORLD + 1, 31, 0) == 0 && pings(a, WORLD + 1) && pings(a, WORLD + 2) &&
              pings(a, WORLD),
          "list: added to");
    check(!pings(a, WORLD + 3), "list: control: the next address is not");
    check(ask_list(h, 0, WIRE_EGRESS_LIST_ADD, WORLD + 1, 31, 0) == 0, "list: the same again is no error");
    check(ask_list(h, 0, WIRE_EGRESS_LIST_ADD, WORLD + 1, 32, 1) == 0 &&
              ask_list(h, 0, WIRE_EGRESS_LIST_ADD, WORLD - 7, 24, 0) == 0,
          "list: within a range, and around all of them");
    check(pings(a, WORLD + 3) && lab_try("test $(nft list set inet banger listed | grep -c 172.16.0.2) = 1"),
          "list: one range is left, and counts");
    check(ask_list(h, 0, WIRE_EGRESS_LIST, WORLD + 1, 32, 0) == 0 && pings(a, WORLD + 1) && !pings(a, WORLD),
          "list: replaced");
    check(ask_list(h, 1, WIRE_EGRESS_LIST, WORLD, 32, 0) == 0 && pings(b, WORLD), "list: another slot's");
    check(ask(h, WIRE_NET_EGRESS, 0, WIRE_EGRESS_NAT) == 0 && pings(a, WORLD) && pings(b, WORLD) &&
              !count_listed("172.16.0.2"),
          "list: nat takes its own ranges away, and no other's");
    check(ask_list(h, 0, WIRE_EGRESS_LIST, WORLD + 1, 32, 0) == 0 && !pings(a, WORLD) && pings(a, WORLD + 1),
          "list: and a list takes nat away");
    check(ask(h, WIRE_NET_EGRESS, 0, WIRE_EGRESS_NONE) == 0 && !pings(a, WORLD + 1) && !count_listed("172.16.0.2"),
          "list: none ends it at once");
}

static void test_list_lifetime(struct lab_helper *h, struct guest *a) {
    check(ask_list(h, 0, WIRE_EGRESS_LIST, WORLD, 32, 1) == 0 && pings(a, WORLD), "list: with a lifetime");
    (void) poll(NULL, 0, 1100);
    check(!pings(a, WORLD), "list: it expires");
    check(ask_list(h, 0, WIRE_EGRESS_LIST, WORLD, 32, 1) == 0, "list: with a lifetime again");
    (void) poll(NULL, 0, 500);
    check(ask_list(h, 0, WIRE_EGRESS_LIST_ADD, WORLD, 32, 5) == 0, "list: the same address for longer");
    (void) poll(NULL, 0, 900);
    check(pings(a, WORLD), "list: which prolongs it");
    check(ask_list(h, 0, WIRE_EGRESS_LIST_ADD, WORLD, 32, 1) == 0 &&
              ask_list(h, 0, WIRE_EGRESS_LIST_ADD, WORLD + 1, 31, 9) == 0 &&
              ask_list(h, 0, WIRE_EGRESS_LIST_ADD, WORLD + 1, 32, 60) == FAILED(ENOTEMPTY),
          "list: a part of a range that ends before it is refused");
    (void) poll(NULL, 0, 1100);
    check(pings(a, WORLD), "list: a shorter one shortens nothing");
    check(ask_list(h, 0, WIRE_EGRESS_LIST, WORLD, 32, 9) == 0 &&
              ask_list(h, 0, WIRE_EGRESS_LIST_ADD, WORLD, 32, 0) == 0 &&
              ask_list(h, 0, WIRE_EGRESS_LIST_ADD, WORLD - 7, 24, 9) == FAILED(ENOTEMPTY),
          "list: for ever, after a while; nor does one around it that ends");
    struct wire_reply reply;
    struct wire_request two = {.op = WIRE_NET_EGRESS, .kind = WIRE_EGRESS_LIST, .cidr_count = 2};
    two.cidrs[0] = (struct wire_cidr){WORLD, 32, 0};
    two.cidrs[1] = (struct wire_cidr){WORLD - 7, 24, 0};
    check(lab_send(h, &two, &reply, NULL) == 0 && reply.verdict == WIRE_DONE && pings(a, WORLD + 1),
          "list: a range and one around it in one request");
}

/* `count` requests of 32 addresses each to be added; how many were done, or the first's error, negative. */
static int fill(struct lab_helper *h, uint32_t count) {
    struct wire_reply reply = {0};
    for (uint32_t i = 0; i < count; i++) {
        struct wire_request rq = {.op = WIRE_NET_EGRESS, .slot = 0, .kind = WIRE_EGRESS_LIST_ADD, .cidr_count = 32};
        for (uint32_t c = 0; c < 32; c++)
            rq.cidrs[c] = (struct wire_cidr){0x08080000 + (i * 32 + c) * 2, 32, 3600};
        if (lab_send(h, &rq, &reply, NULL) || reply.verdict != WIRE_DONE)
            return i ? (int) i : -reply.error;
    }
    return (int) count;
}

void test_lists(void) {
    struct lab_helper h = lab_start(LAB_HELPER, ALICE, 1, NULL);
    struct guest a = lab_up(&h, ALICE, 0), b = lab_up(&h, ALICE, 1);
    test_list_changes(&h, &a, &b);
    test_list_lifetime(&h, &a);
    check(ask_list(&h, 0, WIRE_EGRESS_LIST, WORLD, 32, 0) == 0 && fill(&h, 17) == 15 && pings(&a, WORLD) &&
              lab_try("test $(nft list set inet banger listed | grep -o '172.16.0.2 ' | wc -l) = 481"),
          "list: at most 512 ranges a slot, and what is too many leaves it as it was");
    check(ask_list(&h, 0, WIRE_EGRESS_LIST, WORLD + 1, 32, 0) == 0 && pings(&a, WORLD + 1) && !pings(&a, WORLD) &&
              !count_listed("8.8.0.2"),
          "list: a long one replaced by a short one");
    check(ask_list(&h, 0, WIRE_EGRESS_LIST, WORLD, 32, 0) == 0 && fill(&h, 15) == 15 && fill(&h, 15) == 15 &&
              pings(&a, WORLD),
          "list: a long one prolonged");
    lab_end(&h); /* as a crash leaves it */
    close(a.fd);
    h = lab_start(LAB_HELPER, ALICE, 1, NULL);
    a = lab_up(&h, ALICE, 0);
    check(a.fd >= 0 && !pings(&a, WORLD) && !count_listed("172.16.0.2"),
          "list: the slot's next guest does not have it");
    check(ask_list(&h, 0, WIRE_EGRESS_LIST, WORLD, 32, 60) == 0 && count_listed("172.16.0.2"),
          "list: control: it has one");
    check(ask(&h, WIRE_NET_DOWN, 0, 0) == 0 && ask(&h, WIRE_NET_DOWN, 1, 0) == 0 && !count_listed("172.16.0.2") &&
              !count_listed("172.16.0.3"),
          "list: down takes it away");
    close(a.fd);
    close(b.fd);
    lab_end(&h);
}

/* --- rules that somebody removed -------------------------------------------------------- */

/* Nothing is asked of the helpers: whether all three taps have rules again in time, and with
 * `nat` the first its egress. */
static long long mended(int nat) {
    long long start = io_now_ms();
    do {
        if (lab_try("nft list set bridge banger guests 2>/dev/null | tr -d '\\n' | grep bt0000ee48000 | grep "
                    "bt0000ee48001 | "
                    "grep -q bt0000ee49000 && { test %d = 0 || nft list set inet banger nat | grep -q 172.16.0.2; }",
                    nat))
            return io_now_ms() - start;
        (void) poll(NULL, 0, 20);
    } while (io_now_ms() - start < MEND_MS);
    return -1;
}

static void test_mend(const char *how, struct lab_helper *h, struct guest *a, struct guest *b, struct guest *other) {
    check(ask_list(h, 1, WIRE_EGRESS_LIST, WORLD + 1, 32, 0) == 0 && pings(b, WORLD + 1),
          "mend: control: a list counts");
    lab_sh("%s", how);
    long long ms = mended(1);
    check(ms >= 0, "mend: after '%s' (%lld ms), no request", how, ms);
    check(pings(a, WORLD) && !pings(other, WORLD), "mend: nat is back, for whom it was");
    check(!pings(b, WORLD), "mend: who had a list gets no more than it");
    check(ask_list(h, 1, WIRE_EGRESS_LIST, WORLD + 1, 32, 0) == 0 && pings(b, WORLD + 1),
          "mend: and has it when it is sent again");
    struct frame good = frame_icmp(b->mac, a->mac, a->address, b->address);
    struct frame spoofed = frame_icmp(b->mac, a->mac, a->address + 9, b->address);
    guest_send(a, &spoofed);
    check(!guest_gets(b, &spoofed), "mend: a foreign address is dropped");
    guest_send(a, &good);
    check(guest_gets(b, &good), "mend: control: the own one is not");
}

/* Requests while another process removes everything again and again. */
static void test_storm(struct lab_helper *h) {
    long long worst = 0;
    pid_t pid = fork();
    if (pid == 0) {
        for (int i = 0; i < 40; i++)
            (void) lab_try(
                "nft flush ruleset; nft 'add table ip stormy; add chain ip stormy c; delete table ip stormy'");
        _exit(0);
    }
    int answered = 1;
    for (int i = 0; i < 60; i++) {
        long long start = io_now_ms();
        struct wire_reply reply;
        answered &= lab_call(h, WIRE_NET_LIST, 0, 0, &reply, NULL) == 0;
        worst = io_now_ms() - start > worst ? io_now_ms() - start : worst;
    }
    check(answered && worst < 1000, "mend: requests are answered while rules go again and again (%lld ms at most)",
          worst);
    waitpid(pid, NULL, 0);
    check(mended(1) >= 0, "mend: and all is well afterwards");
}

/* Who is denied meanwhile, or whose policy is broken, keeps running guests: they stay bounded. */
static void test_mend_denied(struct lab_helper *h, struct guest *a, struct guest *b) {
    static const struct {
        const char *policy;
        int answer;
    } meanwhile[] = {{"deny uid 61000\n" POLICY, DENIED(POLICY_DENIED)},
                     {"allow gid 61999\nslots 4\n", DENIED(POLICY_NO_SUBNET)},
                     {"nonsense\n", DENIED(POLICY_BAD_LINE)},
                     {"", DENIED(POLICY_NOT_LISTED)}};
    struct frame good = frame_icmp(b->mac, a->mac, a->address, b->address);
    struct frame spoofed = frame_icmp(b->mac, a->mac, a->address + 9, b->address);
    for (size_t i = 0; i < sizeof(meanwhile) / sizeof(meanwhile[0]); i++) {
        lab_policy(meanwhile[i].policy);
        lab_sh("nft flush ruleset");
        check(mended(0) >= 0, "mend denied %zu: the rules are back", i);
        check(!pings(a, WORLD), "mend denied %zu: but no nat", i);
        guest_send(a, &spoofed);
        check(!guest_gets(b, &spoofed), "mend denied %zu: a foreign address is dropped", i);
        guest_send(a, &good);
        check(guest_gets(b, &good), "mend denied %zu: control: the own one is not", i);
        check(ask(h, WIRE_NET_LIST, 0, 0) == meanwhile[i].answer, "mend denied %zu: what it asks itself is denied", i);
    }
    lab_policy(POLICY);
}

void test_mending(void) {
    struct lab_helper h = lab_start(LAB_HELPER, ALICE, 1, NULL), bobs = lab_start(LAB_HELPER, BOB, 1, NULL);
    struct guest a = lab_up(&h, ALICE, 0), b = lab_up(&h, ALICE, 1), other = lab_up(&bobs, BOB, 0);
    check(ask(&h, WIRE_NET_EGRESS, 0, WIRE_EGRESS_NAT) == 0 && pings(&a, WORLD), "mend: control: nat");
    test_mend("nft flush ruleset", &h, &a, &b, &other);
    test_mend("nft delete table bridge banger", &h, &a, &b, &other);
    test_mend("nft delete table inet banger", &h, &a, &b, &other);
    test_storm(&h);
    test_mend_denied(&h, &a, &b);
    check(slots(&h) == 3 && slots(&bobs) == 1, "mend: each account has its slots");
    (void) ask(&h, WIRE_NET_DOWN, 0, 0);
    (void) ask(&h, WIRE_NET_DOWN, 1, 0);
    (void) ask(&bobs, WIRE_NET_DOWN, 0, 0);
    close(a.fd);
    close(b.fd);
    close(other.fd);
    lab_end(&h);
    lab_end(&bobs);
}

/* Tables of the same names, made by somebody else (root alone can): an element that is none of
 * ours is no answer to go on with. */
void test_foreign_tables(void) {
    static const char guests[] =
        "flush ruleset; add table bridge banger; add set bridge banger guests { type ipv4_addr; }; "
        "add element bridge banger guests { 192.0.2.1 }";
    static const char listed[] =
        "delete table inet banger; add table inet banger; add set inet banger owners { type ifname . uid; }; "
        "add set inet banger listers { type ifname . ipv4_addr; }; add set inet banger listed { type ipv4_addr; }; "
        "add element inet banger listers { bgr0000ee48 . 172.16.0.2 }; add element inet banger listed { 192.0.2.1 }";
    struct lab_helper h = lab_start(LAB_HELPER, ALICE, 1, NULL);
    lab_sh("nft '%s'", guests);
    int answer = ask(&h, WIRE_NET_LIST, 0, 0);
    check(answer / 1000 == WIRE_FAILED || answer == -1, "foreign tables: no list is made of another's set (%d)",
          answer);
    lab_end(&h);
    lab_sh("nft flush ruleset");
    h = lab_start(LAB_HELPER, ALICE, 1, NULL);
    struct guest a = lab_up(&h, ALICE, 0);
    lab_sh("nft '%s'", listed);
    answer = ask_list(&h, 0, WIRE_EGRESS_LIST_ADD, WORLD, 32, 0);
    check(answer / 1000 == WIRE_FAILED || answer == -1, "foreign tables: no list is merged with another's (%d)",
          answer);
    close(a.fd);
    lab_end(&h);
    lab_sh("nft flush ruleset");
}

/* --- many VMs ----------------------------------------------------------------------------- */

#define RULES_COUNT "{ nft -t list table bridge banger; nft -t list table inet banger; } | wc -l >/etc/banger/%s"

void test_bulk(void) {
    struct lab_helper h = lab_start(LAB_HELPER, ALICE, 1, NULL);
    int fds[50], up = 0;
    lab_policy("allow gid 61999\npool 172.16.0.0/12 61000\nslots 50\nnat yes\nuplink default\n");
    for (uint32_t slot = 0; slot < 50; slot++) {
        struct guest g = lab_up(&h, ALICE, slot);
        fds[slot] = g.fd;
        up += g.fd >= 0 && ask_list(&h, slot, slot % 2 ? WIRE_EGRESS_LIST : WIRE_EGRESS_LIST_ADD, WORLD, 32, 0) == 0;
        if (slot == 0)
            lab_sh(RULES_COUNT, "one");
    }
    lab_sh(RULES_COUNT, "fifty");
    check(up == 50 && lab_try("cmp -s /etc/banger/one /etc/banger/fifty"),
          "bulk: 50 VMs with lists, as many rules as one");
    for (uint32_t slot = 0; slot < 50; slot++) {
        up -= ask(&h, WIRE_NET_DOWN, slot, 0) == 0;
        close(fds[slot]);
    }
    check(up == 0 && lab_try("for s in listed listers nat owners; do nft list set inet banger $s; done | grep -q -e "
                             "172.16 && exit 1; exit 0"),
          "bulk: and nothing of them is left");
    lab_end(&h);
    lab_sh("rm /etc/banger/one /etc/banger/fifty");
    lab_policy(POLICY);
}
