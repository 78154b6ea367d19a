/* Lines 7, 9 and 11: words, names and numbers of the policy. */
#include "attack.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* What a helper says under the policy's good lines and this one. */
static int with_line(const char *line) {
    char text[4096];
    (void) snprintf(text, sizeof(text), ALLOW "pool 172.16.0.0/12 61000\n%s\n", line);
    lab_policy(text);
    struct lab_helper h = start(ALICE);
    int r = ask_net(&h, WIRE_NET_LIST, 0, 0);
    lab_end(&h);
    return r;
}
static void all_bad(const char *const *lines) {
    static struct lab_helper h;
    h = start(ALICE);
    for (; *lines; lines++) {
        char text[4096];
        (void) snprintf(text, sizeof(text), ALLOW "pool 172.16.0.0/12 61000\n%s\n", *lines);
        lab_policy(text);
        int r = ask_net(&h, WIRE_NET_LIST, 0, 0);
        expect(r == DENIED(POLICY_BAD_LINE), "%.80s: %d", *lines, r);
    }
    lab_policy(POLICY);
    expect(ask_net(&h, WIRE_NET_LIST, 0, 0) == 0, "control: the good policy does not allow");
    lab_end(&h);
}

static void keywords(void) {
    static const char *const words[] = {"allow gid 61999",
                                        "deny uid 1",
                                        "slots 4",
                                        "nat yes",
                                        "uplink default",
                                        "vmm x /bin/true /usr",
                                        "memory-max 9",
                                        "vcpus-max 9",
                                        "disk-max 9",
                                        "private allow 10.0.0.0/8",
                                        "pool 10.0.0.0/22 9",
                                        "subnet 10.0.0.0/22 uid 9"};
    char variants[4][sizeof(words) / sizeof(words[0])][64];
    const char *list[4 * sizeof(words) / sizeof(words[0]) + 1] = {0};
    size_t n = 0;
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        expect(with_line(words[i]) == 0, "control: %s", words[i]);
        size_t length = strcspn(words[i], " ");
        (void) snprintf(variants[0][i], 64, "%.*s%s", (int) length - 1, words[i], words[i] + length);
        (void) snprintf(variants[1][i], 64, "%.*sx%s", (int) length, words[i], words[i] + length);
        (void) snprintf(variants[2][i], 64, "%c%s", words[i][0] ^ 0x20, words[i] + 1);
        (void) snprintf(variants[3][i], 64, "x%s", words[i]);
        for (int v = 0; v < 4; v++)
            list[n++] = variants[v][i];
    }
    all_bad(list);
}
static void second_words(void) {
    all_bad((const char *const[]){"allow UID 61000",
                                  "allow uidx 61000",
                                  "allow gi 61999",
                                  "allow user 61000",
                                  "allow 61000",
                                  "allow uid",
                                  "allow uid 1 2",
                                  "allow uid alice",
                                  "deny all",
                                  "nat YES",
                                  "nat ye",
                                  "nat yesno",
                                  "nat",
                                  "nat yes yes",
                                  "nat true",
                                  "nat 1",
                                  "subnet 10.0.0.0/22 gid 9",
                                  "subnet 10.0.0.0/22 9",
                                  "private deny 10.0.0.0/8",
                                  "private 10.0.0.0/8",
                                  NULL});
}
static void repeated(void) {
    all_bad((const char *const[]){"slots 4\nslots 4", "slots 4\nslots 999", "nat no\nnat yes", "nat yes\nnat yes",
                                  "memory-max 1\nmemory-max 99999", "vcpus-max 1\nvcpus-max 2",
                                  "disk-max 1\ndisk-max 2", "uplink eth0\nuplink eth0",
                                  "vmm x /bin/true\nvmm x /bin/false", NULL});
}

/* Ids that are the account's but for a digit, and a gid where a uid is meant. */
static int verdict_for(const char *rule) {
    char text[512];
    (void) snprintf(text, sizeof(text), "%s\npool 172.16.0.0/12 61000\n", rule);
    lab_policy(text);
    struct lab_helper h = start(ALICE);
    int r = ask_net(&h, WIRE_NET_LIST, 0, 0);
    lab_end(&h);
    return r;
}
static void almost_ids(void) {
    static const char *const rules[] = {"allow uid 6100",   "allow uid 610000",    "allow uid 1000", "allow uid 61001",
                                        "allow uid 61999",  "allow uid 126536",    "allow gid 6199", "allow gid 619990",
                                        "allow gid 127535", "allow uid 4294906296"};
    for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++)
        expect(verdict_for(rules[i]) == DENIED(POLICY_NOT_LISTED), "%s lets uid 61000 in", rules[i]);
    expect(verdict_for("allow uid 61000") == 0 && verdict_for("allow gid 61000") == 0, "control: its own ids do not");
}

/* --- line 11: numbers ------------------------------------------------------------------------ */

static void numbers(void) {
    static const char *const bad[] = {"-1",
                                      "+1",
                                      "0x10",
                                      "010",
                                      "00",
                                      "1e3",
                                      "4294967295",
                                      "4294967296",
                                      "4294967297",
                                      "18446744073709551616",
                                      "18446744073709551617",
                                      "99999999999",
                                      "1x",
                                      "1.0",
                                      "1,0",
                                      "'1'",
                                      "\xd9\xa1",
                                      "1_0",
                                      "-0",
                                      "2147483648x",
                                      "1-2",
                                      NULL};
    static const char *const forms[] = {"allow uid %s",      "deny gid %s",         "slots %s",
                                        "vcpus-max %s",      "pool 10.0.0.0/22 %s", "subnet 10.0.0.0/22 uid %s",
                                        "pool 10.0.0.0/%s 9"};
    char lines[21][96];
    for (size_t f = 0; f < sizeof(forms) / sizeof(forms[0]); f++) {
        const char *list[22] = {0};
        for (size_t i = 0; bad[i]; i++) {
            int n = snprintf(lines[i], sizeof(lines[i]), "%.*s", (int) (strstr(forms[f], "%s") - forms[f]), forms[f]);
            (void) snprintf(lines[i] + n, sizeof(lines[i]) - (size_t) n, "%s%s", bad[i], strstr(forms[f], "%s") + 2);
            list[i] = lines[i];
        }
        all_bad(list);
    }
}
static void bounds(void) {
    all_bad((const char *const[]){"slots 1001", "memory-max 0", "vcpus-max 0", "vcpus-max 65536", "disk-max 0",
                                  "pool 10.0.0.0/7 9", "pool 10.0.0.0/23 9", "pool 10.0.0.0/33 9", "pool 10.0.0.0/22 0",
                                  "subnet 10.0.0.0/21 uid 9", "subnet 10.0.0.0/24 uid 9", "pool 10.0.0.0/8 4294967290",
                                  "pool 10.0.0.0/21 4294967294", "private allow 10.0.0.0/33",
                                  "private allow 10.0.0.1/8", NULL});
    expect(with_line("slots 1000") == 0 && with_line("vcpus-max 65535") == 0 &&
               with_line("subnet 10.0.0.0/22 uid 4294967294") == 0,
           "control: the last good ones are bad");
}
static void addresses(void) {
    all_bad((const char *const[]){"private allow 10.0.0/8", "private allow 10/8", "private allow 167772160/8",
                                  "private allow 010.0.0.0/8", "private allow 0x0a.0.0.0/8", "private allow 10.0.0.0",
                                  "private allow 10.0.0.0/", "private allow 10.0.0.0/08", "private allow /8",
                                  "private allow 10.0.0.256/8", "private allow fd00::/8", "private allow 10.0.0.0/8/8",
                                  "private allow 111.111.111.1111/32", NULL});
}

/* --- line 7: names ------------------------------------------------------------------------------ */

static void bad_names(void) {
    char lines[3][320];
    for (int i = 0; i < 3; i++) {
        static const int sizes[] = {16, 17, 255};
        memset(lines[i], 'e', sizeof(lines[i]));
        memcpy(lines[i], "uplink ", 7);
        lines[i][7 + sizes[i]] = '\0';
    }
    all_bad((const char *const[]){lines[0], lines[1], lines[2], "uplink", "uplink a/b", "uplink ..", "uplink .",
                                  "uplink .x", "uplink a:b", "uplink eth0:1", "uplink /", "uplink a b",
                                  "uplink a\x01"
                                  "b",
                                  "uplink a\x1b[0m", NULL});
    expect(with_line("uplink eeeeeeeeeeeeeee") == 0, "control: 15 bytes are bad");
}
/* A 16-byte name is not its first 15 bytes, which are an interface here. */
static void never_cut(void) {
    lab_sh("ip link add eeeeeeeeeeeeeee type bridge && ip link set eeeeeeeeeeeeeee up");
    struct lab_helper h = start(ALICE);
    struct guest g = lab_up(&h, ALICE, 0);
    lab_policy(POLICY "uplink eeeeeeeeeeeeeeef\n");
    expect(ask_net(&h, WIRE_NET_EGRESS, 0, WIRE_EGRESS_NAT) == DENIED(POLICY_BAD_LINE), "16 bytes are taken");
    expect(strcmp(content("/proc/sys/net/ipv4/conf/eeeeeeeeeeeeeee/forwarding"), "0\n") == 0,
           "it was cut, and forwards");
    lab_policy(POLICY);
    (void) ask_net(&h, WIRE_NET_DOWN, 0, 0);
    close(g.fd);
    lab_end(&h);
    lab_sh("ip link delete eeeeeeeeeeeeeee");
}
/* Words that mean more than one interface to the kernel's sysctls, formats and numbers. */
static void special_names(void) {
    static const char *const names[] = {"all", "%d", "%s%n", "lo", "1", "0", "-", "up%d", "\xc3\xa9", "\xe2\x80\xae"};
    struct lab_helper h = start(ALICE);
    struct guest g = lab_up(&h, ALICE, 0);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        char text[512];
        (void) snprintf(text, sizeof(text), ALLOW "pool 172.16.0.0/12 61000\nnat yes\nuplink %s\n", names[i]);
        lab_policy(text);
        int r = ask_net(&h, WIRE_NET_EGRESS, 0, WIRE_EGRESS_NAT);
        expect(r == FAILED(ENODEV) || r == FAILED(EINVAL) || (strcmp(names[i], "lo") == 0 && r == 0), "uplink %s: %d",
               names[i], r);
        expect(strcmp(content("/proc/sys/net/ipv4/ip_forward"), "0\n") == 0, "uplink %s: all of the host forwards",
               names[i]);
        expect(strcmp(content("/proc/sys/net/ipv4/conf/default/forwarding"), "0\n") == 0, "new interfaces forward");
    }
    expect(!interface_exists("up0") && !interface_exists("0"), "a format became a name");
    lab_policy(POLICY);
    (void) ask_net(&h, WIRE_NET_DOWN, 0, 0);
    close(g.fd);
    lab_end(&h);
}
/* Paths of a VMM: anything but a plain absolute one. */
static void vmm_paths(void) {
    static char line[400] = "vmm x /";
    memset(line + 7, 'a', 300);
    all_bad((const char *const[]){"vmm x bin/true", "vmm x /bin/../bin/true", "vmm x /bin/./true", "vmm x //bin/true",
                                  "vmm x /bin/", "vmm x /", "vmm x /..", "vmm x /bin/true usr", "vmm x /bin/true /usr/",
                                  "vmm x /bin/true /usr/..", "vmm x", "vmm", line,
                                  "vmm xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx /bin/true", NULL});
}

const struct attack words_attacks[] = {
    {"7.1 names of 0, 16, 17 and 255 bytes, paths, colons, control bytes", bad_names},
    {"7.2 a name one byte too long is not cut to one that exists", never_cut},
    {"7.3 names that are formats, numbers or words for all interfaces", special_names},
    {"7.4 paths that are not plain and absolute", vmm_paths},
    {"9.4 prefix, suffix and case of every keyword", keywords},
    {"9.5 prefix, suffix and case of the words after it", second_words},
    {"9.6 keywords that count once, repeated", repeated},
    {"9.7 ids that are almost the account's", almost_ids},
    {"11.3 numbers with sign, base, exponent, overflow and trailing junk", numbers},
    {"11.4 numbers just outside of their ranges", bounds},
    {"11.5 addresses that other parsers take", addresses},
    {NULL, NULL}};
