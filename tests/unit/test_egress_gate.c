/* What the helper is told of a guest's way out: parts, eviction, and a set that is full. Monitor and net worker are
 * threads here that keep a slot's set as the helper does. */
#include "../../common/fdpass.h"
#include "../../unpriv/daemon/monitor.h"
#include "../../unpriv/egress/gate.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define SET_MAX   512 /* what the helper holds of a slot */
#define CALLS_MAX 64
#define FIRST     0xcb007100u /* 203.0.113.0 */

static struct {
    size_t calls;
    struct {
        uint32_t kind, count;
    } call[CALLS_MAX];
    size_t held;
    struct wire_cidr set[SET_MAX];
} helper;

static int add(const struct wire_cidr *cidr) {
    size_t i = 0;
    while (i < helper.held && helper.set[i].address != cidr->address)
        i++;
    if (i == SET_MAX)
        return ENOSPC;
    helper.set[i] = *cidr;
    helper.held += i == helper.held;
    return 0;
}

static void *net_worker(void *arg) {
    int sock = *(int *) arg;
    struct wire_request rq;
    while (recv(sock, &rq, sizeof(rq), 0) == (ssize_t) sizeof(rq)) {
        struct wire_reply reply = {
            .version = WIRE_VERSION, .size = sizeof(reply), .op = rq.op, .op_id = rq.op_id, .verdict = WIRE_DONE};
        if (helper.calls < CALLS_MAX) {
            helper.call[helper.calls].kind = rq.kind;
            helper.call[helper.calls++].count = rq.cidr_count;
        }
        helper.held = rq.kind == WIRE_EGRESS_LIST_ADD ? helper.held : 0;
        for (uint32_t i = 0; i < rq.cidr_count && reply.error == 0; i++)
            reply.error = add(&rq.cidrs[i]);
        reply.verdict = reply.error ? WIRE_FAILED : WIRE_DONE;
        if (send(sock, &reply, sizeof(reply), 0) < 0)
            break;
    }
    return NULL;
}

/* Gives out the net worker's socket. */
static void *monitor(void *arg) {
    static int pair[2];
    pthread_t thread;
    struct monitor_request rq;
    int sock = *(int *) arg;
    while (recv(sock, &rq, sizeof(rq), 0) == (ssize_t) sizeof(rq)) {
        const struct monitor_reply reply = {.error = 0};
        if (rq.op != MONITOR_HELPER || socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair) ||
            pthread_create(&thread, NULL, net_worker, &pair[1]) || fdpass_send(sock, &reply, sizeof(reply), pair, 1))
            break;
        (void) close(pair[0]);
    }
    return NULL;
}

static void begin(void) {
    static int pair[2];
    pthread_t thread;
    cr_assert_eq(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
    monitor_client_open(pair[0]);
    cr_assert_eq(pthread_create(&thread, NULL, monitor, &pair[1]), 0);
}

static const struct egress_rules *rules_of(const char *text) {
    static struct egress_rules rules;
    struct err e = {0};
    cr_assert_eq(egress_rules_parse(text, &rules, &e), 0, "%s", e.text);
    return &rules;
}

static struct gate *new_gate(const char *text) {
    struct gate *gate = gate_new(7, rules_of(text), 0);
    cr_assert_not_null(gate);
    return gate;
}

/* Opens `count` addresses from FIRST + `from` on. */
static int open_some(struct gate *gate, uint32_t from, size_t count, uint32_t ttl) {
    struct gate_address addresses[64];
    struct err e = {0};
    for (size_t i = 0; i < count; i++)
        addresses[i] = (struct gate_address){FIRST + from + (uint32_t) i, ttl};
    return gate_open(gate, "www.example.org", addresses, count, &e);
}

/* Its lifetime in the helper's set, 0 without it. */
static uint32_t held(uint32_t number) {
    for (size_t i = 0; i < helper.held; i++) {
        if (helper.set[i].address == FIRST + number)
            return helper.set[i].lifetime;
    }
    return 0;
}

static void expect_call(size_t number, uint32_t kind, uint32_t count) {
    cr_assert_lt(number, helper.calls);
    cr_expect(helper.call[number].kind == kind && helper.call[number].count == count, "call %zu: kind %u, %u ranges",
              number, helper.call[number].kind, helper.call[number].count);
}

Test(egress_gate, what_is_long_goes_in_parts, .init = begin) {
    struct gate *gate = new_gate("allow=www.example.org");
    struct err e = {0};
    cr_assert_eq(open_some(gate, 0, 60, 60), 0);
    cr_assert_eq(helper.calls, 2);
    expect_call(0, WIRE_EGRESS_LIST_ADD, 32);
    expect_call(1, WIRE_EGRESS_LIST_ADD, 28);
    cr_expect(helper.held == 60 && held(0) == 2 * GATE_LEAST && held(59) == 2 * GATE_LEAST);
    cr_assert_eq(open_some(gate, 0, 60, 60), 0);
    cr_expect_eq(helper.calls, 2, "what is open for long enough is told once");
    cr_assert_eq(open_some(gate, 30, 1, 86400), 0);
    expect_call(2, WIRE_EGRESS_LIST_ADD, 1);
    cr_expect_eq(held(30), 2 * GATE_MOST);

    /* All of it again, to another helper; then a list of 100 ranges: the first part alone replaces. */
    helper.calls = helper.held = 0;
    cr_assert_eq(gate_apply(gate, 0, &e), 0, "%s", e.text);
    cr_assert_eq(helper.calls, 2);
    expect_call(0, WIRE_EGRESS_LIST_ADD, 32);
    cr_expect_eq(helper.held, 60);
    char text[4096] = "allow=";
    for (int i = 0; i < 100; i++)
        (void) snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s198.51.%d.0/24", i ? "," : "", i);
    helper.calls = 0;
    cr_assert_eq(gate_change(gate, 0, rules_of(text), &e), 0, "%s", e.text);
    cr_assert_eq(helper.calls, 4);
    expect_call(0, WIRE_EGRESS_LIST, 32);
    expect_call(1, WIRE_EGRESS_LIST_ADD, 32);
    expect_call(3, WIRE_EGRESS_LIST_ADD, 4);
    cr_expect(helper.held == 100 && held(0) == 0, "what names opened is closed");
    cr_expect_geq(gate_since(gate), time(NULL) - 10);
    cr_expect_eq(open_some(gate, 0, 1, 60), -ECANCELED);
    gate_drop(gate);
}

static void count_open(uint32_t address, uint32_t seconds, void *arg) {
    ++*(size_t *) arg;
    cr_expect(seconds > 0 && held(address - FIRST), "%x is not open", address);
}

Test(egress_gate, those_that_end_first_make_room, .init = begin) {
    struct gate *gate = new_gate("allow=www.example.org,192.0.2.0/24");
    size_t count = 0;
    cr_assert_eq(open_some(gate, 0, 32, 9000), 0); /* the oldest, but not those that end first */
    for (uint32_t i = 1; i < GATE_ADDRESSES_MAX / 32; i++)
        cr_assert_eq(open_some(gate, 32 * i, 32, 3000 + 100 * i), 0);
    cr_assert_eq(helper.held, GATE_ADDRESSES_MAX);
    helper.calls = 0;
    cr_assert_eq(open_some(gate, 1000, 3, 60), 0);
    expect_call(0, WIRE_EGRESS_LIST, 32);
    cr_expect_eq(helper.held, GATE_ADDRESSES_MAX * 3 / 4 + 3 + 1, "%zu are open", helper.held); /* and the range */
    cr_expect(held(1000) && held(1002), "the new ones are open");
    cr_expect(held(0) && held(31) && held(GATE_ADDRESSES_MAX - 1), "and those that end last");
    cr_expect(!held(32) && !held(63), "those that end first are closed");
    gate_each(gate, count_open, &count);
    cr_expect_eq(count, helper.held - 1, "the gate knows what the helper has");
    gate_drop(gate);
}

Test(egress_gate, a_full_set_of_an_earlier_engine_is_replaced, .init = begin) {
    struct gate *gate = new_gate("allow=www.example.org");
    helper.held = SET_MAX - 1;
    for (uint32_t i = 0; i < helper.held; i++)
        helper.set[i] = (struct wire_cidr){.address = 0xc0000200u + i, .prefix = 32, .lifetime = 10};
    cr_assert_eq(open_some(gate, 0, 2, 60), 0);
    cr_assert_eq(helper.calls, 2);
    expect_call(0, WIRE_EGRESS_LIST_ADD, 2);
    expect_call(1, WIRE_EGRESS_LIST, 2);
    cr_expect(helper.held == 2 && held(0) && held(1));
    gate_drop(gate);
}
