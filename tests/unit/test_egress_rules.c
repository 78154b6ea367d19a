/* What people write after --egress. */
#include "../../unpriv/egress/rules.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

static struct egress_rules rules;
static struct err error;

static void written(const char *text, const char *again) {
    memset(&error, 0, sizeof(error));
    cr_assert_eq(egress_rules_parse(text, &rules, &error), 0, "%s: %s", text, error.text);
    cr_expect_str_eq(rules.text, again);
}

static void refused(const char *text, const char *part) {
    memset(&error, 0, sizeof(error));
    cr_expect_eq(egress_rules_parse(text, &rules, &error), -error.code, "%s", text);
    cr_expect(error.code == EINVAL || error.code == E2BIG, "%s", text);
    cr_expect(strstr(error.text, part), "%s: %s", text, error.text);
}

Test(egress_rules, modes) {
    written("none", "none");
    cr_expect_eq(rules.mode, WIRE_EGRESS_NONE);
    written("nat", "nat");
    cr_expect_eq(rules.mode, WIRE_EGRESS_NAT);
    written("allow=192.0.2.1", "allow=192.0.2.1");
    cr_expect_eq(rules.mode, WIRE_EGRESS_LIST);
    refused("", "it must be none, nat or allow=");
    refused("NAT", "it must be none, nat or allow=");
    refused("allow", "it must be none, nat or allow=");
}

Test(egress_rules, a_list_is_written_in_one_way) {
    written("allow=Deb.Debian.ORG., 10.1.0.0/16 ,\t*.Example.org,192.0.2.7/32,deb.debian.org",
            "allow=deb.debian.org,10.1.0.0/16,*.example.org,192.0.2.7/32");
    cr_expect_eq(rules.name_count, 2);
    cr_expect_eq(rules.cidr_count, 2);
    cr_expect(rules.cidrs[0].address == 0x0a010000 && rules.cidrs[0].prefix == 16 && rules.cidrs[0].lifetime == 0);
    cr_expect(rules.cidrs[1].address == 0xc0000207 && rules.cidrs[1].prefix == 32);
    written("allow=_dmarc.example.org,intranet,xn--bcher-kva.example",
            "allow=_dmarc.example.org,intranet,xn--bcher-kva.example");
}

Test(egress_rules, bad_lists_are_one_sentence_that_names_the_rule) {
    refused("allow=", "a rule is empty");
    refused("allow=a.example,,b.example", "a rule is empty");
    refused("allow=10.1.2.3/8", "write 10.0.0.0/8");
    refused("allow=0.0.0.0/0", "nat stands for that");
    refused("allow=10.0.0.0/33", "\"10.0.0.0/33\" is no IPv4 address");
    refused("allow=10.0.0.0/", "is no IPv4 address");
    refused("allow=10.0.0.0/-1", "is no IPv4 address");
    refused("allow=10.0.0.0/8x", "is no IPv4 address");
    refused("allow=256.1.1.1", "is no IPv4 address");
    refused("allow=1.2.3", "is no IPv4 address");
    refused("allow=1234567890123456789012345678901234567890", "is no IPv4 address");
    refused("allow=2001:db8::1", "opens no IPv6");
    refused("allow=https://example.org", "leave scheme, port and path out");
    refused("allow=example.org:443", "leave scheme, port and path out");
    refused("allow=b\xc3\xbc"
            "cher.example",
            "xn--");
    refused("allow=*", "is no DNS name");
    refused("allow=*.org", "top-level domain");
    refused("allow=a*.example.org", "is no DNS name");
    refused("allow=*.*.example.org", "is no DNS name");
    refused("allow=-a.example.org", "is no DNS name");
    refused("allow=a-.example.org", "is no DNS name");
    refused("allow=a..example.org", "is no DNS name");
    refused("allow=.example.org", "is no DNS name");
    refused("allow=a b.example", "is no DNS name");
    refused("allow=a.example;nft flush", "is no DNS name");
}

Test(egress_rules, bounds) {
    char name[400] = "allow=";
    memset(name + 6, 'a', 64);
    refused(name, "is no DNS name");
    memset(name + 6, 'a', 300);
    refused(name, "longer than a name can be");

    static char text[EGRESS_TEXT_MAX * 2];
    size_t used = (size_t) snprintf(text, sizeof(text), "allow=");
    for (int i = 0; i < EGRESS_CIDRS_MAX; i++)
        used += (size_t) snprintf(text + used, sizeof(text) - used, "%s192.0.2.%d", i ? "," : "", i);
    written(text, text);
    cr_expect_eq(rules.cidr_count, EGRESS_CIDRS_MAX);
    (void) snprintf(text + used, sizeof(text) - used, ",198.51.100.1");
    refused(text, "more than 128 addresses");

    used = (size_t) snprintf(text, sizeof(text), "allow=");
    for (int i = 0; i < EGRESS_NAMES_MAX; i++)
        used += (size_t) snprintf(text + used, sizeof(text) - used, "%sn%d.example", i ? "," : "", i);
    written(text, text);
    (void) snprintf(text + used, sizeof(text) - used, ",more.example");
    refused(text, "more than 256 names");

    used = (size_t) snprintf(text, sizeof(text), "allow=");
    for (int i = 0; i < 200; i++)
        used += (size_t) snprintf(text + used, sizeof(text) - used, "%s%0*d.a-long-name.example", i ? "," : "", 40, i);
    refused(text, "longer than 8191 bytes");
}

Test(egress_rules, a_name_means_itself_and_a_wildcard_what_is_below) {
    written("allow=host.example.org,*.example.net,intranet", "allow=host.example.org,*.example.net,intranet");
    static const struct {
        const char *name;
        int allowed;
    } cases[] = {
        {"host.example.org", 1}, {"example.org", 0},       {"a.host.example.org", 0}, {"xhost.example.org", 0},
        {"a.example.net", 1},    {"a.b.example.net", 1},   {"example.net", 0},        {"badexample.net", 0},
        {".example.net", 0},     {"example.net.evil", 0},  {"intranet", 1},           {"", 0},
        {"host.example.or", 0},  {"host.example.org.", 0},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        cr_expect_eq(egress_rules_name(&rules, cases[i].name), cases[i].allowed, "%s", cases[i].name);
}

Test(egress_rules, addresses) {
    written("allow=192.0.2.0/24,198.51.100.7", "allow=192.0.2.0/24,198.51.100.7");
    cr_expect(egress_rules_address(&rules, 0xc0000200) && egress_rules_address(&rules, 0xc00002ff));
    cr_expect(!egress_rules_address(&rules, 0xc00001ff) && !egress_rules_address(&rules, 0xc0000300));
    cr_expect(egress_rules_address(&rules, 0xc6336407) && !egress_rules_address(&rules, 0xc6336408));
}
