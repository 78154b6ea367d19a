/* A guest's lookups: its question, what is answered, and the log of both. */
#include "../../unpriv/egress/dns.h"
#include "../../unpriv/egress/log.h"
#include "../../unpriv/egress/resolve/answer.h"
#include "../../unpriv/egress/resolve/dial.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <unistd.h>

static struct dns_question q;
static uint8_t query[QUERY_MAX], out[DNS_OUT_MAX];

static size_t ask(const char *name, uint16_t type, int edns) {
    const size_t size = query_write(name, type, 0x1234, edns, query);
    cr_assert_eq(dns_question(query, size, &q), DNS_OK, "%s", name);
    return size;
}

/* --- questions and answers --------------------------------------------------------------- */

Test(egress_dns, a_question_is_its_name_and_type) {
    ask("WwW.Example.org", DNS_A, 0);
    cr_expect_str_eq(q.name, "www.example.org");
    cr_expect(q.type == DNS_A && q.class == 1 && !q.edns && q.udp_max == DNS_UDP_MIN);
    ask("_http._tcp.example.org", 33, 1);
    cr_expect_str_eq(q.name, "_http._tcp.example.org");
    cr_expect(q.edns && q.udp_max == DNS_UDP_MAX);
    ask(".", 2, 0);
    cr_expect_str_eq(q.name, ".");
}

Test(egress_dns, what_cannot_be_asked) {
    size_t size = ask("a.example", DNS_A, 0);
    const struct {
        size_t at;
        uint8_t byte;
        int rcode;
    } cases[] = {
        {2, 0x81, -1},
        {2, 0x29, DNS_NOTIMP},
        {5, 2, DNS_FORMERR},
        {7, 1, DNS_FORMERR},
        {9, 1, DNS_FORMERR},
        {11, 1, DNS_FORMERR},
        {11, 2, DNS_FORMERR},
        {12, 0xc0, DNS_FORMERR},
        {12, 64, DNS_FORMERR},
        {13, '.', DNS_REFUSED},
        {13, 0, DNS_REFUSED},
        {13, 0xff, DNS_REFUSED},
        {size - 1, 3, DNS_REFUSED},
        {size - 3, 252, DNS_NOTIMP},
        {22, 1, DNS_FORMERR},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint8_t bad[QUERY_MAX];
        memcpy(bad, query, size);
        bad[cases[i].at] = cases[i].byte;
        cr_expect_eq(dns_question(bad, size, &q), cases[i].rcode, "%zu: byte %zu", i, cases[i].at);
    }
    for (size_t cut = 0; cut < size; cut++)
        cr_expect_eq(dns_question(query, cut, &q), cut < DNS_HEADER ? -1 : DNS_FORMERR, "cut at %zu", cut);
}

Test(egress_dns, an_answer_repeats_the_question_and_has_the_addresses) {
    static const struct gate_address addresses[] = {{0xcb007107, 60}, {0xcb007108, 0}};
    const struct dns_answer answer = {.addresses = addresses, .count = 2};
    size_t size = ask("www.example.org", DNS_A, 0);
    query[3] = 0x10; /* checking disabled */
    cr_assert_eq(dns_write(&q, &answer, 0, out), size + 32);
    cr_expect(out[0] == 0x12 && out[1] == 0x34 && out[2] == 0x81 && out[3] == 0x90);
    cr_expect_arr_eq(out + 4, "\0\1\0\2\0\0\0\0", 8);
    cr_expect_arr_eq(out + size, "\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4\xcb\0\x71\7\xc0\x0c\0\1\0\1\0\0\0\0\0\4\xcb\0\x71\x08",
                     32);
    size = ask("www.example.org", DNS_A, 1);
    const struct dns_answer refused = {.rcode = DNS_NXDOMAIN, .more = DNS_MORE_PROHIBITED};
    cr_assert_eq(dns_write(&q, &refused, 0, out), size + 6);
    cr_expect_eq(out[3], 0x83);
    cr_expect_arr_eq(out + size - 11, "\0\0\x29\x04\xd0\0\0\0\0\0\6\0\x0f\0\2\0\x12", 17);
}

Test(egress_dns, what_is_too_long_for_a_datagram_is_cut) {
    static struct gate_address addresses[60];
    const struct dns_answer answer = {.addresses = addresses, .count = 60};
    size_t size = ask("www.example.org", DNS_A, 0);
    cr_expect_eq(dns_write(&q, &answer, 0, out), size);
    cr_expect(out[2] & 2);
    cr_expect_eq(dns_write(&q, &answer, 1, out), size + 60 * 16);
    cr_expect_not(out[2] & 2);
}

/* --- upstream ------------------------------------------------------------------------------ */

#define NAME "www.example.org"

/* An answer to `query`, whose records are given. */
static size_t says(size_t size, uint8_t rcode, uint8_t count, const char *records, size_t length, uint8_t answer[512]) {
    memcpy(answer, query, size);
    answer[2] = 0x81;
    answer[3] = (uint8_t) (0x80 | rcode);
    answer[7] = count;
    memcpy(answer + size, records, length);
    return size + length;
}

static struct found found;
static int take(uint8_t rcode, uint8_t count, const char *records, size_t length) {
    uint8_t answer[512];
    size_t size = query_write(NAME, DNS_A, 0x1234, 0, query);
    size = says(size, rcode, count, records, length, answer);
    return found_take(&found, answer, size, 0x1234, NAME, DNS_A);
}
#define TAKE(rcode, count, records) take(rcode, count, records, sizeof(records) - 1)
#define A(owner, ttl, last)         owner "\0\1\0\1\0\0\0" ttl "\0\4\xcb\0\x71" last
#define ALIAS(owner, ttl, to)       owner "\0\5\0\1\0\0\0" ttl "\0\7" to
#define SELF                        "\xc0\x0c"

Test(egress_upstream, the_chain_from_the_name_to_its_addresses) {
    uint8_t message[RESOLVE_MESSAGE_MAX];
    cr_assert_eq(TAKE(0, 3, A("\4evil\0", "\5", "\x66") ALIAS(SELF, "\5", "\3cdn\1n\0") A("\3cdn\1n\0", "\x3c", "\7")),
                 0);
    cr_expect_eq(found.count, 1);
    cr_expect(found.addresses[0].address == 0xcb007107 && found.addresses[0].ttl == 5);
    cr_expect_str_eq(found.next, "");
    cr_expect_gt(found_message(&found, NAME, DNS_A, message), 12);
    found_free(&found);
}

Test(egress_upstream, an_alias_alone_is_asked_for) {
    cr_assert_eq(TAKE(0, 1, ALIAS(SELF, "\5", "\3cdn\1n\0")), 0);
    cr_expect_str_eq(found.next, "cdn.n");
    cr_expect_eq(found.count, 0);
    found_free(&found);
}

Test(egress_upstream, what_is_no_answer_changes_nothing) {
    uint8_t answer[512];
    size_t size = query_write(NAME, DNS_A, 0x1234, 0, query);
    size = says(size, 0, 1, A(SELF, "\5", "\7"), sizeof(A(SELF, "\5", "\7")) - 1, answer);
    cr_expect_eq(found_take(&found, answer, size, 0x1235, NAME, DNS_A), -EBADMSG, "another id");
    cr_expect_eq(found_take(&found, answer, size, 0x1234, "x.example.org", DNS_A), -EBADMSG, "another name");
    cr_expect_eq(found_take(&found, answer, size, 0x1234, NAME, 16), -EBADMSG, "another type");
    cr_expect_eq(found_take(&found, answer, size - 2, 0x1234, NAME, DNS_A), -EBADMSG, "cut");
    cr_expect_eq(found_take(&found, query, 5, 0x1234, NAME, DNS_A), -EBADMSG, "short");
    answer[2] |= 2;
    cr_expect_eq(found_take(&found, answer, size, 0x1234, NAME, DNS_A), -EMSGSIZE, "truncated");
    answer[2] = 1;
    cr_expect_eq(found_take(&found, answer, size, 0x1234, NAME, DNS_A), -EBADMSG, "a query");
    cr_expect_eq(TAKE(0, 1, SELF "\0\5\0\1\0\0\0\5\0\2" SELF), -ELOOP, "an alias of itself");
    cr_expect_eq(found.count, 0);
    cr_expect_null(found.answers);
}

Test(egress_upstream, a_servers_own_failure_brings_no_address) {
    cr_assert_eq(TAKE(2, 1, A(SELF, "\5", "\7")), 0);
    cr_expect(found.rcode == DNS_SERVFAIL && found.count == 0);
    cr_assert_eq(TAKE(3, 1, A(SELF, "\5", "\7")), 0);
    cr_expect(found.rcode == DNS_NXDOMAIN && found.count == 0);
    found_free(&found);
}

Test(egress_upstream, names_that_cannot_be_asked_for) {
    char name[400];
    memset(name, 'a', sizeof(name));
    name[64] = '\0';
    cr_expect_eq(query_write(name, 1, 1, 0, query), 0);
    cr_expect_eq(query_write("a..b", 1, 1, 0, query), 0);
    for (size_t i = 0; i < sizeof(name) - 1; i++)
        name[i] = i % 2 ? '.' : 'a';
    name[sizeof(name) - 1] = '\0';
    cr_expect_eq(query_write(name, 1, 1, 0, query), 0);
}

Test(egress_upstream, name_servers) {
    struct dial_server servers[DIAL_SERVERS_MAX];
    char text[64];
    cr_expect_eq(dial_servers("# nameserver 1.1.1.1\nsearch x\nnameserver 127.0.0.53\nnameserver\t::1 # local\n"
                              "nameserver fe80::1%lo\nnameserver 9.9.9.9\n",
                              servers),
                 3);
    cr_expect_str_eq(inet_ntop(AF_INET, &servers[0].at.v4.sin_addr, text, sizeof(text)), "127.0.0.53");
    cr_expect_eq(ntohs(servers[0].at.v4.sin_port), 53);
    cr_expect_str_eq(inet_ntop(AF_INET6, &servers[1].at.v6.sin6_addr, text, sizeof(text)), "::1");
    cr_expect_eq(servers[2].at.v6.sin6_scope_id, 1);
    cr_expect_eq(dial_servers("nameserver\nnameserver example.org\n", servers), 1, "none: the local host");
    cr_expect_eq(ntohl(servers[0].at.v4.sin_addr.s_addr), INADDR_LOOPBACK);
}

/* --- addresses that names may open, and the log ---------------------------------------------- */

Test(egress_gate, public_addresses) {
    static const struct {
        const char *address;
        int public;
    } cases[] = {{"203.0.113.7", 1}, {"10.0.0.1", 0},        {"172.31.255.255", 0},  {"172.32.0.0", 1},
                 {"192.168.1.1", 0}, {"127.0.0.1", 0},       {"169.254.169.254", 0}, {"224.0.0.1", 0},
                 {"0.0.0.0", 0},     {"255.255.255.255", 0}, {"100.64.0.1", 0},      {"8.8.8.8", 1}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        cr_expect_eq(gate_public(ntohl(inet_addr(cases[i].address))), cases[i].public, "%s", cases[i].address);
}

static size_t entries, refused, counted;
static void count(const struct egress_entry *entry, void *arg) {
    (void) arg;
    entries++;
    refused += !egress_why_allowed((enum egress_why) entry->why);
    counted += entry->count;
}
static void recount(struct egress_log *log) {
    entries = refused = counted = 0;
    egress_log_each(log, count, NULL);
}

Test(egress_log, one_entry_a_name_bounded_and_kept) {
    int file = memfd_create("log", 0);
    struct egress_log *log = egress_log_open(dup(file));
    cr_assert_not_null(log);
    egress_log_add(log, "www.example.org", DNS_A, EGRESS_LISTED);
    egress_log_add(log, "www.example.org", DNS_A, EGRESS_LISTED);
    egress_log_add(log, "www.example.org", DNS_AAAA, EGRESS_LISTED);
    for (int i = 0; i < 1000; i++) { /* a guest that makes names up drives nothing that was allowed out */
        char name[32];
        (void) snprintf(name, sizeof(name), "n%d.example", i);
        egress_log_add(log, name, DNS_A, EGRESS_UNLISTED);
    }
    recount(log);
    cr_expect(entries == EGRESS_LOG_EACH + 2 && refused == EGRESS_LOG_EACH && counted == EGRESS_LOG_EACH + 3);
    egress_log_close(log);
    log = egress_log_open(dup(file));
    recount(log);
    cr_expect(entries == EGRESS_LOG_EACH + 2 && refused == EGRESS_LOG_EACH && counted == EGRESS_LOG_EACH + 3);
    egress_log_close(log);
    struct egress_entry bad = {.why = 99};
    cr_assert_eq(pwrite(file, &bad, sizeof(bad), sizeof(bad)), (ssize_t) sizeof(bad));
    log = egress_log_open(file);
    recount(log);
    cr_expect_eq(entries, 1, "what makes no sense ends it");
    egress_log_close(log);
}
