/* banger-dns's answers: zone, names, wire. */
#include "../../unpriv/dns/account.h"
#include "../../unpriv/dns/answer.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <ldns/ldns.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SUBNET 0xac100000u /* 172.16.0.0 */

static struct zone zone = {.subnet = SUBNET, .server = 0x7f000001u, .serial = 7, .user = "ann.lee"};

static void run_with(uint32_t slot, const char *name, int runs, int ipv6) {
    struct dns_name change = {.slot = slot, .address = runs ? addr_guest(SUBNET, slot) : 0, .ipv6 = (uint32_t) ipv6};
    (void) snprintf(change.name, sizeof(change.name), "%s", name);
    cr_assert_eq(zone_take(&zone, &change), 0);
}

static void run(uint32_t slot, const char *name, int runs) {
    run_with(slot, name, runs, 0);
}

/* The answer as dig's short form: "RCODE [aa] [tc] | answer | authority". */
static const char *ask_sized(const char *name, ldns_rr_type type, uint16_t edns) {
    static char text[4096];
    uint8_t out[ANSWER_MAX], *wire = NULL;
    size_t size = 0;
    ldns_pkt *query = ldns_pkt_query_new(ldns_dname_new_frm_str(name), type, LDNS_RR_CLASS_IN, LDNS_RD), *answer = NULL;
    ldns_pkt_set_id(query, 0x1234);
    if (edns)
        ldns_pkt_set_edns_udp_size(query, edns);
    cr_assert_eq(ldns_pkt2wire(&wire, query, &size), LDNS_STATUS_OK);
    const size_t n = dns_answer(&zone, wire, size, out);
    cr_assert_gt(n, 0);
    cr_assert_eq(ldns_wire2pkt(&answer, out, n), LDNS_STATUS_OK);
    cr_assert_eq(ldns_pkt_id(answer), 0x1234);
    cr_assert(ldns_pkt_qr(answer) && ldns_pkt_rd(answer) && !ldns_pkt_ra(answer));
    cr_assert_eq(ldns_pkt_edns(answer), edns != 0);
    char *rcode = ldns_pkt_rcode2str(ldns_pkt_get_rcode(answer));
    char *found = ldns_rr_list2str(ldns_pkt_answer(answer)), *authority = ldns_rr_list2str(ldns_pkt_authority(answer));
    (void) snprintf(text, sizeof(text), "%s%s%s|%s|%s", rcode, ldns_pkt_aa(answer) ? " aa" : "",
                    ldns_pkt_tc(answer) ? " tc" : "", found ? found : "", authority ? authority : "");
    free(rcode);
    free(found);
    free(authority);
    free(wire);
    ldns_pkt_free(query);
    ldns_pkt_free(answer);
    return text;
}
static const char *ask(const char *name, ldns_rr_type type) {
    return ask_sized(name, type, 0);
}

#define SOA(origin) origin "\t1\tIN\tSOA\t_dns.vm. hostmaster.vm. "

static void expect(const char *got, const char *begin, const char *part) {
    cr_expect(strncmp(got, begin, strlen(begin)) == 0 && strstr(got, part), "got %s, wanted %s...%s", got, begin, part);
}

Test(dns, answers_for_running_vms) {
    run(0, "box", 1);
    run(5, "other", 1);
    cr_expect_str_eq(ask("box.vm.", LDNS_RR_TYPE_A), "NOERROR aa|box.vm.\t5\tIN\tA\t172.16.0.2\n|");
    cr_expect_str_eq(ask("BoX.Vm.", LDNS_RR_TYPE_A), "NOERROR aa|BoX.Vm.\t5\tIN\tA\t172.16.0.2\n|");
    cr_expect_str_eq(ask("other.ann.lee.vm.", LDNS_RR_TYPE_A), "NOERROR aa|other.ann.lee.vm.\t5\tIN\tA\t172.16.0.7\n|");
    cr_expect_str_eq(ask("box.vm.", LDNS_RR_TYPE_ANY), "NOERROR aa|box.vm.\t5\tIN\tA\t172.16.0.2\n|");
    cr_expect_str_eq(ask("_dns.vm.", LDNS_RR_TYPE_A), "NOERROR aa|_dns.vm.\t5\tIN\tA\t127.0.0.1\n|");
    cr_expect_str_eq(ask("_dns.ann.lee.vm.", LDNS_RR_TYPE_A), "NOERROR aa|_dns.ann.lee.vm.\t5\tIN\tA\t127.0.0.1\n|");
    run(0, "box", 0);
    expect(ask("box.vm.", LDNS_RR_TYPE_A), "NXDOMAIN aa||", SOA("vm."));
    run(0, "new", 1);
    cr_expect_str_eq(ask("new.vm.", LDNS_RR_TYPE_A), "NOERROR aa|new.vm.\t5\tIN\tA\t172.16.0.2\n|");
    expect(ask("box.vm.", LDNS_RR_TYPE_A), "NXDOMAIN aa||", SOA("vm."));
}

Test(dns, knows_who_has_ipv6_too) {
    run_with(0, "six", 1, 1);
    run(5, "four", 1);
    cr_expect_str_eq(ask("six.vm.", LDNS_RR_TYPE_A), "NOERROR aa|six.vm.\t5\tIN\tA\t172.16.0.2\n|");
    cr_expect_str_eq(ask("Six.ann.lee.vm.", LDNS_RR_TYPE_AAAA),
                     "NOERROR aa|Six.ann.lee.vm.\t5\tIN\tAAAA\tfd62:616e:6765::ac10:2\n|");
    cr_expect_str_eq(ask("six.vm.", LDNS_RR_TYPE_ANY), "NOERROR aa|six.vm.\t5\tIN\tA\t172.16.0.2\n|");
    expect(ask("four.vm.", LDNS_RR_TYPE_AAAA), "NOERROR aa||", SOA("vm."));
    expect(ask("_dns.vm.", LDNS_RR_TYPE_AAAA), "NOERROR aa||", SOA("vm."));
    run(0, "six", 1);
    expect(ask("six.vm.", LDNS_RR_TYPE_AAAA), "NOERROR aa||", SOA("vm."));
}

Test(dns, says_what_is_not_there) {
    run(1, "box", 1);
    expect(ask("box.vm.", LDNS_RR_TYPE_AAAA), "NOERROR aa||", SOA("vm."));
    expect(ask("www.box.vm.", LDNS_RR_TYPE_A), "NXDOMAIN aa||", SOA("vm."));
    expect(ask("ann.lee.vm.", LDNS_RR_TYPE_A), "NOERROR aa||", SOA("vm."));
    expect(ask("lee.vm.", LDNS_RR_TYPE_A), "NOERROR aa||", SOA("vm."));
    expect(ask("ee.vm.", LDNS_RR_TYPE_A), "NXDOMAIN aa||", SOA("vm."));
    expect(ask("bob.vm.", LDNS_RR_TYPE_A), "NXDOMAIN aa||", SOA("vm."));
    expect(ask("b\\.ox.vm.", LDNS_RR_TYPE_A), "NXDOMAIN aa||", SOA("vm."));
    expect(ask("b\\000x.vm.", LDNS_RR_TYPE_A), "NXDOMAIN aa||", SOA("vm."));
    expect(ask("vm.", LDNS_RR_TYPE_A), "NOERROR aa||", SOA("vm."));
    expect(ask("vm.", LDNS_RR_TYPE_SOA), "NOERROR aa|" SOA("vm."), "3600 600 86400 1\n|");
    cr_expect_str_eq(ask("vm.", LDNS_RR_TYPE_NS), "NOERROR aa|vm.\t5\tIN\tNS\t_dns.vm.\n|");
    static const char *const foreign[] = {"example.org.", ".", "xvm.", "box.vm.example.", "arpa."};
    for (size_t i = 0; i < sizeof(foreign) / sizeof(foreign[0]); i++)
        cr_expect_str_eq(ask(foreign[i], LDNS_RR_TYPE_A), "REFUSED||", "%s", foreign[i]);
    cr_expect_str_eq(ask("vm.", LDNS_RR_TYPE_AXFR), "REFUSED||");
    cr_expect_str_eq(ask("box.vm.", LDNS_RR_TYPE_IXFR), "REFUSED||");
}

Test(dns, knows_the_names_of_addresses) {
    run(2, "box", 1);
    run(300, "far", 1);
    cr_expect_str_eq(ask("4.0.16.172.in-addr.arpa.", LDNS_RR_TYPE_PTR),
                     "NOERROR aa|4.0.16.172.in-addr.arpa.\t5\tIN\tPTR\tbox.vm.\n|");
    cr_expect_str_eq(ask("46.1.16.172.IN-ADDR.arpa.", LDNS_RR_TYPE_PTR),
                     "NOERROR aa|46.1.16.172.IN-ADDR.arpa.\t5\tIN\tPTR\tfar.vm.\n|");
    expect(ask("9.0.16.172.in-addr.arpa.", LDNS_RR_TYPE_PTR), "NXDOMAIN aa||", SOA("0.16.172.in-addr.arpa."));
    expect(ask("4.0.16.172.in-addr.arpa.", LDNS_RR_TYPE_A), "NOERROR aa||", SOA("0.16.172.in-addr.arpa."));
    expect(ask("1.16.172.in-addr.arpa.", LDNS_RR_TYPE_SOA), "NOERROR aa|" SOA("1.16.172.in-addr.arpa."), "\n|");
    static const char *const missing[] = {"1.4.0.16.172.in-addr.arpa.", "x.0.16.172.in-addr.arpa.",
                                          "256.0.16.172.in-addr.arpa.", "04.0.16.172.in-addr.arpa.",
                                          "a.b.c.4.3.16.172.in-addr.arpa."};
    for (size_t i = 0; i < sizeof(missing) / sizeof(missing[0]); i++)
        expect(ask(missing[i], LDNS_RR_TYPE_PTR), "NXDOMAIN aa||", "16.172.in-addr.arpa.\t1\tIN\tSOA");
    static const char *const foreign[] = {
        "4.4.16.172.in-addr.arpa.", "16.172.in-addr.arpa.",         "in-addr.arpa.",
        "x.in-addr.arpa.",          "4.0.16.172.in-addr.arpa.vm2.", "1.0.0.127.in-addr.arpa."};
    for (size_t i = 0; i < sizeof(foreign) / sizeof(foreign[0]); i++)
        cr_expect_str_eq(ask(foreign[i], LDNS_RR_TYPE_PTR), "REFUSED||", "%s", foreign[i]);
}

/* None is cut: the longest question there is, with the longest answer to it, fits where every client has room. */
Test(dns, answers_fit) {
    char name[256] = "";
    const char *sixty = "abcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghij";
    (void) snprintf(name, sizeof(name), "%s.%s.%s.%s.vm.", sixty, sixty, sixty, sixty);
    expect(ask_sized(name, LDNS_RR_TYPE_A, 512), "NXDOMAIN aa||", SOA("vm."));
    (void) snprintf(name, sizeof(name), "%s.%s.%s.0.16.172.in-addr.arpa.", sixty, sixty, sixty);
    expect(ask_sized(name, LDNS_RR_TYPE_A, 512), "NXDOMAIN aa||", SOA("0.16.172.in-addr.arpa."));
}

static size_t raw(const uint8_t *query, size_t size, uint8_t out[ANSWER_MAX]) {
    return dns_answer(&zone, query, size, out);
}

Test(dns, refuses_what_is_no_query) {
    uint8_t out[ANSWER_MAX];
    const uint8_t good[] = {9, 8, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 2, 'v', 'm', 0, 0, 6, 0, 1};
    uint8_t bad[sizeof(good)];
    cr_expect_gt(raw(good, sizeof(good), out), sizeof(good));
    for (size_t n = 0; n < 12; n++)
        cr_expect_eq(raw(good, n, out), 0, "no header");
    for (size_t n = 12; n < sizeof(good); n++) {
        cr_expect_eq(raw(good, n, out), 12);
        cr_expect(out[0] == 9 && out[1] == 8 && out[2] == 0x81 && out[3] == 1, "FORMERR at %zu", n);
    }
    memcpy(bad, good, sizeof(good));
    bad[2] = 0x81;
    cr_expect_eq(raw(bad, sizeof(bad), out), 0, "an answer gets none");
    bad[2] = 0x29; /* UPDATE */
    cr_expect_eq(raw(bad, sizeof(bad), out), 12);
    cr_expect(out[2] == 0xa9 && out[3] == 4, "NOTIMP");
    for (size_t count = 4; count < 12; count += 2) {
        memcpy(bad, good, sizeof(good));
        bad[count + 1] = 3;
        cr_expect_eq(raw(bad, sizeof(bad), out), 12);
        cr_expect_eq(out[3], 1, "FORMERR");
    }
    memcpy(bad, good, sizeof(good));
    bad[19] = 3; /* CHAOS */
    cr_expect_eq(raw(bad, sizeof(bad), out), sizeof(bad));
    cr_expect_eq(out[3] & 15, 5, "REFUSED");
    memcpy(bad, good, sizeof(good));
    bad[12] = 0xc0; /* a name that points to itself */
    bad[13] = 12;
    cr_expect_eq(raw(bad, sizeof(bad), out), 12);
}

Test(dns, speaks_edns_0) {
    uint8_t out[ANSWER_MAX];
    uint8_t query[] = {9, 8, 1, 0, 0, 1, 0,  0,  0, 0, 0, 1, 2, 'v', 'm', 0,
                       0, 6, 0, 1, 0, 0, 41, 16, 0, 0, 0, 0, 0, 0,   0};
    ldns_pkt *answer = NULL;
    size_t n = raw(query, sizeof(query), out);
    cr_assert_eq(ldns_wire2pkt(&answer, out, n), LDNS_STATUS_OK);
    cr_expect_eq(ldns_pkt_edns_udp_size(answer), ANSWER_UDP_MAX);
    cr_expect_eq(ldns_pkt_ancount(answer), 1);
    ldns_pkt_free(answer);
    query[26] = 1; /* the version */
    n = raw(query, sizeof(query), out);
    cr_assert_eq(ldns_wire2pkt(&answer, out, n), LDNS_STATUS_OK);
    cr_expect_eq(ldns_pkt_edns_extended_rcode(answer), 1, "BADVERS");
    cr_expect_eq(ldns_pkt_edns_version(answer), 0);
    cr_expect_eq(ldns_pkt_ancount(answer), 0);
    ldns_pkt_free(answer);
}

Test(dns, takes_no_change_that_is_none) {
    struct dns_name change = {.slot = SLOT_MAX, .address = 1, .name = "x"};
    cr_expect_eq(zone_take(&zone, &change), -EINVAL);
    change = (struct dns_name){.slot = 1, .address = 1};
    cr_expect_eq(zone_take(&zone, &change), -EINVAL, "no name");
    memset(change.name, 'a', sizeof(change.name));
    cr_expect_eq(zone_take(&zone, &change), -EINVAL, "no end");
    change = (struct dns_name){.slot = 1, .address = 1, .ipv6 = 2, .name = "x"};
    cr_expect_eq(zone_take(&zone, &change), -EINVAL, "neither with nor without");
    cr_expect_eq(zone.serial, 7);
}

Test(dns, gives_each_account_an_address) {
    static struct policy policy;
    static const char text[] = "pool 172.16.0.0/12 1000\nsubnet 10.200.0.0/22 uid 723400\npool 10.0.0.0/9 200000\n";
    cr_assert_eq(policy_parse(&policy, text, sizeof(text) - 1), 0);
    cr_expect_eq(account_address(&policy, 1000), 0x7f000001u);
    cr_expect_eq(account_address(&policy, 1001), 0x7f2a0101u);
    cr_expect_eq(account_address(&policy, 1255), 0x7f2aff01u);
    cr_expect_eq(account_address(&policy, 1256), 0x7f2b0001u);
    cr_expect_eq(account_address(&policy, 723400), 0x7f2e0001u, "the 1,024th");
    cr_expect_eq(account_address(&policy, 200000), 0x7f2e0101u);
    cr_expect_eq(account_address(&policy, 999), 0);
}

Test(dns, says_how_an_account_is_written) {
    static const char *const rows[][2] = {{"ann", "ann"}, {"Ann.Lee", "ann.lee"}, {"a_b-c9", "a_b-c9"},
                                          {"", ""},       {".ann", ""},           {"ann.", ""},
                                          {"a..b", ""},   {"ann$", ""},           {"CORP\\ann", ""}};
    char label[DNS_USER_SIZE];
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        account_label(rows[i][0], label);
        cr_expect_str_eq(label, rows[i][1], "%s", rows[i][0]);
    }
    char long_one[DNS_USER_SIZE + 1];
    memset(long_one, 'a', sizeof(long_one));
    long_one[DNS_USER_SIZE] = '\0';
    account_label(long_one, label);
    cr_expect_str_eq(label, "");
}
