/* Image references and platforms, as people write them. */
#include "../../unpriv/image/reference.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#define HEX64 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

Test(reference, whole_forms) {
    static const struct {
        const char *text, *whole;
    } rows[] = {
        {"alpine", "docker.io/library/alpine:latest"},
        {"alpine:3.20", "docker.io/library/alpine:3.20"},
        {"team/app", "docker.io/team/app:latest"},
        {"docker.io/alpine", "docker.io/library/alpine:latest"},
        {"index.docker.io/team/app:1", "docker.io/team/app:1"},
        {"localhost/app", "localhost/app:latest"},
        {"localhost:5000/app:v1", "localhost:5000/app:v1"},
        {"[::1]:5000/app:v1", "[::1]:5000/app:v1"},
        {"Registry.Example:443/a/b-c/d__e/f.g:T_1", "registry.example:443/a/b-c/d__e/f.g:T_1"},
        {"r.example/app@sha256:" HEX64, "r.example/app@sha256:" HEX64},
        {"r.example/app:1@sha256:" HEX64, "r.example/app:1@sha256:" HEX64},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct reference ref, again;
        struct err e = {0};
        char text[REFERENCE_TEXT_MAX], twice[REFERENCE_TEXT_MAX];
        cr_expect_eq(reference_parse(rows[i].text, &ref, &e), 0, "%s: %s", rows[i].text, e.text);
        cr_expect_str_eq(reference_text(&ref, text), rows[i].whole);
        cr_expect_eq(reference_parse(text, &again, &e), 0);
        cr_expect_str_eq(reference_text(&again, twice), text, "the whole form is stable");
    }
}

Test(reference, refused) {
    static const char *const rows[] = {
        "",
        "/",
        "a/",
        "/a",
        "r.example/",
        "r.example//a",
        "UPPER",
        "r.example/Upper",
        "a:",
        "a:-tag",
        "a:b:c",
        "a@",
        "a@sha256:12",
        "a@md5:" HEX64,
        "a@sha256:" HEX64 "0",
        "a..b",
        "a___b",
        "-a",
        "a-",
        "a b",
        "a\n",
        "a:\x1b[31m",
        "r.example:/a",
        "r.example:99999/a",
        "r.example:5x/a",
        "-r.example/a",
        "r..example/a",
        "[::1/a",
        "[::g]:1/a",
        "ex\xc3\xa4mple.org/a",
        "../etc/passwd",
        "r.example/../a",
        "a:../b",
        "http://r.example/a",
        "user@r.example/a",
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct reference ref;
        struct err e = {0};
        cr_expect_eq(reference_parse(rows[i], &ref, &e), -EINVAL, "%s", rows[i]);
        cr_expect(strstr(e.text, "write it as in") != NULL, "%s: %s", rows[i], e.text);
    }
}

Test(reference, bounds) {
    char text[1024];
    struct reference ref;
    struct err e = {0};
    for (size_t size = 1; size < sizeof(text) - 16; size++) {
        memcpy(text, "r.example/", 10);
        memset(text + 10, 'a', size);
        text[10 + size] = '\0';
        int r = reference_parse(text, &ref, &e);
        cr_assert_eq(r == 0, size < REFERENCE_PATH_MAX - sizeof("library/"), "%zu", size);
        memcpy(text, "a:", 2);
        memset(text + 2, 'T', size);
        text[2 + size] = '\0';
        cr_assert_eq(reference_parse(text, &ref, &e) == 0, size <= 128, "%zu", size);
    }
}

Test(reference, names_are_not_references) {
    cr_expect_not(reference_is_one("debian-bookworm"));
    cr_expect_not(reference_is_one("nosuch"));
    cr_expect(reference_is_one("alpine:3"));
    cr_expect(reference_is_one("team/app"));
    cr_expect_not(reference_is_one("./Folder"));
}

Test(reference, loopback) {
    static const char *const own[] = {"localhost", "localhost:1", "127.0.0.1", "127.9.9.9:5000", "[::1]", "[::1]:5000"};
    static const char *const other[] = {"127.example", "localhost.example",   "128.0.0.1",
                                        "[::2]:1",     "127.0.0.1.example:1", "1"};
    for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++)
        cr_expect(reference_is_loopback(own[i]), "%s", own[i]);
    for (size_t i = 0; i < sizeof(other) / sizeof(other[0]); i++)
        cr_expect_not(reference_is_loopback(other[i]), "%s", other[i]);
}

Test(reference, platforms) {
    struct platform p;
    struct err e = {0};
    cr_expect_eq(platform_parse("", &p, &e), 0);
    cr_expect_str_eq(p.architecture, "amd64");
    cr_expect_eq(platform_parse("arm64", &p, &e), 0);
    cr_expect(strcmp(p.os, "linux") == 0 && strcmp(p.architecture, "arm64") == 0 && !p.variant[0]);
    cr_expect_eq(platform_parse("linux/arm/v7", &p, &e), 0);
    cr_expect(strcmp(p.os, "linux") == 0 && strcmp(p.architecture, "arm") == 0 && strcmp(p.variant, "v7") == 0);
    static const char *const bad[] = {"/",
                                      "linux/",
                                      "/amd64",
                                      "linux//v8",
                                      "linux/arm/v7/x",
                                      "linux/arm/v7/",
                                      "Linux/amd64",
                                      "a b",
                                      "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        cr_expect_eq(platform_parse(bad[i], &p, &e), -EINVAL, "%s", bad[i]);
}
