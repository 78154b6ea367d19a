/* Signatures made by minisign 0.11, and what must not pass for one. */
#include "../../unpriv/catalog/minisign.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#define KEY     "RWQCySfbx+8G+mt/FhyImsWwhrBcA7247+Yg6i/TzJPQy7wJ0j0/e8C0"
#define OTHER   "RWTSENPUZu+nti1yBznyFte3qb4VBCPc+ZFYeej/nYLgSPmFHW1mqcsX"
#define COMMENT "untrusted comment: signature from minisign secret key\n"
#define VALUE   "RUQCySfbx+8G+o18KlfaxmRO6EUXM29sup2DVBV7Sgb3Bye28YJ67tfiaO9SlsuqxTnF1GnS+SrMGVxso1SQSVngDxB4Cluhag4="
#define GLOBAL  "RMhZgUHuMVqNMBqD0h9oz4h5D9Xk2KaAEKurqlIcLGrC+JCOeXX7BexezxpuzLPAuWC6J4jKz+Uoso7iU7nMDw=="
#define HASHED  COMMENT VALUE "\ntrusted comment: t \tx\n" GLOBAL "\n"
#define LEGACY                                                                                                         \
    COMMENT "RWQCySfbx+8G+tTi1/a7/sJasNF9ECzqfnTlAaT8Aw6z/Gjdy4v2OroRmGkeiMrla29Bc/kfWfkJA0tyfE29qDWpFb5e8BOSOgc=\n"   \
            "trusted comment: legacy\n"                                                                                \
            "ib/ikFAchG7Trz6eNJjjUdInzzpvMzvoJFGHAFPlMQAOX8wo20RAAwpODDeMCbgQWMuqEgmUefFwsE5zowSDCw==\n"

static struct minisign_keys keys;
static struct err error;

static int add_keys(const char *text) {
    memset(&error, 0, sizeof(error));
    return minisign_keys_add(&keys, text, strlen(text), "k", &error);
}

static int read_text(const char *text, struct minisign_signature *s) {
    memset(&error, 0, sizeof(error));
    return minisign_signature_read(text, strlen(text), "s", s, &error);
}

static int check(const char *signature, const char *data) {
    struct minisign_signature s;
    int r = read_text(signature, &s);
    return r ? r : minisign_check(&keys, &s, data, strlen(data), "data", &error);
}

Test(minisign, both_forms_are_verified) {
    cr_assert_eq(add_keys("untrusted comment: minisign public key FA06EFC7DB27C902\n" KEY "\n"), 0, "%s", error.text);
    cr_expect_eq(keys.list[0].id, 0xFA06EFC7DB27C902);
    cr_expect_eq(check(HASHED, "hello\n"), 0, "%s", error.text);
    cr_expect_eq(check(LEGACY, "hello\n"), 0, "%s", error.text);
    cr_expect_eq(check(HASHED, "hello"), -EBADMSG);
    cr_expect_eq(check(LEGACY, "hellO\n"), -EBADMSG);
    cr_expect(strstr(error.text, "changed after it was signed"), "%s", error.text);
}

Test(minisign, the_key_must_be_trusted) {
    cr_expect_eq(check(HASHED, "hello\n"), -ENOKEY);
    cr_expect(strstr(error.text, "FA06EFC7DB27C902") && strstr(error.text, "trusted-keys"), "%s", error.text);
    cr_assert_eq(add_keys("# theirs\r\n\r\n" OTHER "\r\n"), 0, "%s", error.text);
    cr_expect_eq(check(HASHED, "hello\n"), -ENOKEY);
    cr_assert_eq(add_keys(KEY), 0);
    cr_expect_eq(check(HASHED, "hello\n"), 0, "%s", error.text);
}

/* A key with another's id is no way in, nor in the way. */
Test(minisign, a_stolen_id_changes_nothing) {
    cr_assert_eq(add_keys(OTHER), 0);
    keys.list[0].id = 0xFA06EFC7DB27C902;
    cr_expect_eq(check(HASHED, "hello\n"), -EBADMSG);
    cr_assert_eq(add_keys(KEY), 0);
    cr_expect_eq(check(HASHED, "hello\n"), 0, "%s", error.text);
}

Test(minisign, the_trusted_comment_is_signed_too) {
    cr_assert_eq(add_keys(KEY), 0);
    cr_expect_eq(check(COMMENT VALUE "\ntrusted comment: t \ty\n" GLOBAL "\n", "hello\n"), -EBADMSG);
    cr_expect_eq(check("untrusted comment: anything\n" VALUE "\ntrusted comment: t \tx\n" GLOBAL, "hello\n"), 0, "%s",
                 error.text);
    cr_expect_eq(check(COMMENT VALUE "\r\ntrusted comment: t \tx\r\n" GLOBAL "\r\n", "hello\n"), 0, "%s", error.text);
}

/* Every bit of it counts, but those of the untrusted comment. */
Test(minisign, no_changed_byte_passes) {
    char text[sizeof(HASHED)];
    cr_assert_eq(add_keys(KEY), 0);
    for (size_t i = sizeof(COMMENT) - 1; i + 2 < sizeof(text); i++) {
        memcpy(text, HASHED, sizeof(text));
        text[i] = (char) (text[i] ^ 1);
        cr_expect_lt(check(text, "hello\n"), 0, "byte %zu", i);
        cr_expect(error.text[0]);
        memcpy(text, HASHED, sizeof(text));
        text[i] = '\0';
        cr_expect_lt(check(text, "hello\n"), 0, "cut at %zu", i);
    }
}

Test(minisign, what_is_no_signature) {
    struct minisign_signature s;
    char text[2 * MINISIGN_COMMENT_MAX];
    static const char *const bad[] = {
        "",
        "\n\n\n\n",
        COMMENT,
        COMMENT VALUE "\ntrusted comment: t\n",
        VALUE "\ntrusted comment: t\n" GLOBAL "\n",
        HASHED "more\n",
        COMMENT GLOBAL "\ntrusted comment: t\n" GLOBAL "\n",
        COMMENT VALUE "\ntrusted comment:t\n" GLOBAL "\n",
        COMMENT VALUE "\ntrusted comment: t\n" VALUE "\n",
        COMMENT VALUE " \ntrusted comment: t\n" GLOBAL "\n",
        COMMENT "UlUC" VALUE "\ntrusted comment: t\n" GLOBAL "\n",
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        cr_expect_eq(read_text(bad[i], &s), -EINVAL, "%zu", i);
        cr_expect(strstr(error.text, "minisign -Sm"), "%s", error.text);
    }
    (void) snprintf(text, sizeof(text), COMMENT VALUE "\ntrusted comment: %*s\n" GLOBAL, MINISIGN_COMMENT_MAX, "x");
    cr_expect_eq(read_text(text, &s), -EINVAL);
}

Test(minisign, what_is_no_key) {
    cr_expect_eq(add_keys("# one\n" KEY "=\n"), -EINVAL);
    cr_expect_eq(strncmp(error.text, "k:2: ", 5), 0, "%s", error.text);
    cr_expect_eq(add_keys("RURDySfbx+8G+mt/FhyImsWwhrBcA7247+Yg6i/TzJPQy7wJ0j0/e8C0"), -EINVAL);
    cr_expect_eq(add_keys("nonsense"), -EINVAL);
    cr_expect_eq(keys.count, 0);
    int r = 0, count = 0;
    for (; r == 0 && count < 2 * MINISIGN_KEYS_MAX; count++)
        r = add_keys(KEY);
    cr_expect_eq(r, -E2BIG);
    cr_expect_eq(count, MINISIGN_KEYS_MAX + 1);
}
