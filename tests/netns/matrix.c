/* Who reaches whom: two accounts with two guests each, every sender in every disguise,
 * as a table. All guests have NAT, so whatever is refused is refused in spite of it. */
#include "net_world.h"

#include "../../common/io.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define GUESTS  4
#define WAIT_MS 400

/* Targets: the guests in the order of the accounts, then what is not a guest's. */
enum { GATEWAY_A = GUESTS, GATEWAY_B, HOST, OUTSIDE, TARGETS };
static const char *const columns[TARGETS] = {"a0", "a1", "b0", "b1", "gateway a", "gateway b", "host", "world"};

static struct guest guests[GUESTS];
static uint32_t address_of[TARGETS];
static int wrong;

/* What was sent to each target carries this in its payload. */
struct token {
    char text[12];
};
static struct token token_for(int target) {
    static unsigned number;
    struct token t;
    (void) snprintf(t.text, sizeof(t.text), "T%02d-%06u", target, ++number % 1000000);
    return t;
}

/* A guest's target is reached when its tap has the token; others, when anyone's tap has it in an
 * answer to an echo request (the gateway's answers by ARP are net_main.c's). Guests other than the sender are asked for
 * their own targets alone. */
static void collect(const struct token tokens[TARGETS], int sender, int reached[TARGETS]) {
    long long until = io_now_ms() + WAIT_MS;
    uint8_t in[2048];
    while (io_now_ms() < until) {
        for (int g = 0; g < GUESTS; g++) {
            size_t n = guest_next(&guests[g], in, sizeof(in));
            for (int t = 0; n > 0 && t < TARGETS; t++) {
                int echo = in[12] == 8 && in[13] == 0 && in[23] == 1 && in[34] == 0;
                if ((t < GUESTS ? t == g && g != sender : echo) &&
                    memmem(in, n, tokens[t].text, strlen(tokens[t].text)))
                    reached[t] = 1;
            }
        }
    }
}

static void print_row(const char *sender, const char *how, const int reached[TARGETS], const int want[TARGETS]) {
    printf("# %-10s %-34s", sender, how);
    for (int t = 0; t < TARGETS; t++) {
        printf(" %-9s", reached[t] < 0 ? "." : reached[t] ? "yes" : "-");
        if (reached[t] >= 0 && reached[t] != want[t]) {
            printf("(WRONG) ");
            wrong++;
        }
    }
    printf("\n");
}

/* --- guests as senders ------------------------------------------------------------------ */

enum how {
    PLAIN,
    ROUTED,
    OTHER_MAC,
    VICTIM_MAC,
    OTHER_IP,
    VICTIM_IP,
    GATEWAY_IP,
    VLAN,
    ARP_OWN,
    ARP_AS_VICTIM,
    ARP_AS_GATEWAY,
    HOWS
};
static const char *const how_names[HOWS] = {"own MAC and address, to its MAC",
                                            "the same, through the gateway",
                                            "a MAC of nobody",
                                            "another guest's MAC",
                                            "an address of nobody",
                                            "another guest's address",
                                            "the gateway's address",
                                            "in a VLAN tag",
                                            "ARP for it",
                                            "ARP as another guest",
                                            "ARP as the gateway"};

static int same_account(int a, int b) {
    return a / 2 == b / 2;
}

static const uint8_t *mac_of(int target, int sender) {
    return target < GUESTS ? guests[target].mac
                           : guests[target == GATEWAY_A   ? 0
                                    : target == GATEWAY_B ? 2
                                                          : sender]
                                 .gateway_mac;
}

static struct frame disguised(int sender, int target, enum how how) {
    static const uint8_t nobody[6] = {2, 0x62, 9, 9, 9, 9};
    const struct guest *g = &guests[sender], *victim = &guests[sender ^ 1];
    const uint8_t *to = how == ROUTED || target >= HOST ? g->gateway_mac : mac_of(target, sender);
    const uint8_t *mac = how == OTHER_MAC ? nobody : how == VICTIM_MAC ? victim->mac : g->mac;
    uint32_t from = how == OTHER_IP                              ? g->address + 77
                    : how == VICTIM_IP || how == ARP_AS_VICTIM   ? victim->address
                    : how == GATEWAY_IP || how == ARP_AS_GATEWAY ? g->gateway
                                                                 : g->address;
    if (how >= ARP_OWN)
        return frame_arp(g->mac, g->mac, from, address_of[target]);
    struct frame f = frame_icmp(to, mac, from, address_of[target]);
    return how == VLAN ? frame_vlan(&f) : f;
}

/* The token goes where it changes no meaning: an echo's data, ARP's padding. */
static void mark_frame(struct frame *f, enum how how, const struct token *token) {
    size_t at = how >= ARP_OWN ? 44 : f->size - sizeof(token->text);
    memcpy(f->bytes + at, token->text, sizeof(token->text));
    if (how < ARP_OWN)
        frame_checksum(f, how == VLAN ? 18 : 14);
}

static int may_reach(int sender, int target, enum how how) {
    if (target == sender)
        return -1;
    if (how > ROUTED && how != ARP_OWN)
        return 0;
    if (target < GUESTS)
        return same_account(sender, target);
    return target == OUTSIDE && how != ARP_OWN;
}

static void guest_row(int sender, enum how how) {
    int reached[TARGETS] = {0}, want[TARGETS];
    struct token tokens[TARGETS];
    for (int t = 0; t < TARGETS; t++) {
        tokens[t] = token_for(t);
        want[t] = may_reach(sender, t, how);
        struct frame f = disguised(sender, t, how);
        mark_frame(&f, how, &tokens[t]);
        if (t != sender)
            guest_send(&guests[sender], &f);
    }
    collect(tokens, sender, reached);
    reached[sender] = -1;
    print_row(columns[sender], how_names[how], reached, want);
}

/* --- processes as senders ------------------------------------------------------------------ */

static void process_row(const char *name, uid_t uid, int account) {
    int reached[TARGETS] = {0}, want[TARGETS] = {0};
    struct token tokens[TARGETS];
    for (int t = 0; t < TARGETS; t++)
        tokens[t] = token_for(t);
    for (int t = 0; t < GUESTS; t++) {
        want[t] = t / 2 == account;
        say(uid, address_of[t], tokens[t].text);
    }
    collect(tokens, -1, reached);
    for (int t = GUESTS; t < TARGETS; t++)
        reached[t] = -1;
    print_row(name, "UDP", reached, want);
}

void test_matrix(void) {
    struct lab_helper helpers[2] = {lab_start(LAB_HELPER, ALICE, 1, NULL), lab_start(LAB_HELPER, BOB, 1, NULL)};
    uint8_t rest[2048];
    for (int g = 0; g < GUESTS; g++) {
        guests[g] = lab_up(&helpers[g / 2], g / 2 ? BOB : ALICE, (uint32_t) g % 2);
        if (guests[g].fd < 0 || ask(&helpers[g / 2], WIRE_NET_EGRESS, (uint32_t) g % 2, WIRE_EGRESS_NAT) ||
            !guest_resolve(&guests[g])) {
            check(0, "matrix: guest %s is up", columns[g]);
            return;
        }
        address_of[g] = guests[g].address;
        check(pings(&guests[g], WORLD), "matrix: control: %s reaches the world", columns[g]);
    }
    address_of[GATEWAY_A] = guests[0].gateway;
    address_of[GATEWAY_B] = guests[2].gateway;
    address_of[HOST] = HOST_UPLINK;
    address_of[OUTSIDE] = WORLD;
    printf("# %-10s %-34s", "from", "as");
    for (int t = 0; t < TARGETS; t++)
        printf(" %-9s", columns[t]);
    printf("\n");
    for (int g = 0; g < GUESTS; g++) {
        for (enum how how = 0; how < HOWS; how++)
            guest_row(g, how);
    }
    process_row("alice's", ALICE, 0);
    process_row("bob's", BOB, 1);
    process_row("another's", BOB + 1, -1);
    process_row("world", 0, -1);
    check(wrong == 0, "matrix: %d senders, %d disguises, %d targets: %d cells are wrong", GUESTS + 4, HOWS, TARGETS,
          wrong);
    for (int g = 0; g < GUESTS; g++) {
        while (guest_next(&guests[g], rest, sizeof(rest)) > 0)
            ;
        (void) ask(&helpers[g / 2], WIRE_NET_DOWN, (uint32_t) g % 2, 0);
        close(guests[g].fd);
    }
    lab_end(&helpers[0]);
    lab_end(&helpers[1]);
}
