/* The pure parts of banger-fetch: its request, challenges, documents; and what docker login left. */
#include "../../unpriv/cli/config.h"
#include "../../unpriv/cli/docker.h"
#include "../../unpriv/cli/registry.h"
#include "../../unpriv/image/fetch/cache.h"
#include "../../unpriv/image/fetch/challenge.h"
#include "../../unpriv/image/fetch/proxy.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define ZEROS "0000000000000000000000000000000000000000000000000000000000000000"

/* --- challenges -------------------------------------------------------------------- */

static struct challenge challenge_of(const char *text) {
    struct challenge c;
    struct err e = {0};
    cr_assert_eq(challenge_parse(text, &c, &e), 0, "%s: %s", text, e.text);
    return c;
}

Test(fetch_challenge, as_registries_write_it) {
    struct challenge c = challenge_of(
        "Bearer realm=\"https://auth.example/token\",service=\"registry.example\",scope=\"repository:a/b:pull,push\"");
    cr_expect_eq(c.scheme, CHALLENGE_BEARER);
    cr_expect_str_eq(c.realm, "https://auth.example/token");
    cr_expect_str_eq(c.service, "registry.example");
    cr_expect_str_eq(c.scope, "repository:a/b:pull,push");
    c = challenge_of("bearer  REALM = \"a\\\"b\" , error=\"insufficient_scope\"");
    cr_expect_str_eq(c.realm, "a\"b");
    cr_expect_eq(challenge_of("Basic realm=\"Registry Realm\"").scheme, CHALLENGE_BASIC);
    cr_expect_eq(challenge_of("Basic").scheme, CHALLENGE_BASIC);
    cr_expect_eq(challenge_of("").scheme, CHALLENGE_NONE);
    cr_expect_eq(challenge_of("Negotiate YII=").scheme, CHALLENGE_NONE);
    cr_expect_eq(challenge_of("Negotiate, Basic realm=x").scheme, CHALLENGE_BASIC);
    c = challenge_of("Basic realm=\"x\", Bearer realm=\"https://t/\",service=s");
    cr_expect_eq(c.scheme, CHALLENGE_BEARER, "a token before a password");
    cr_expect_str_eq(c.service, "s");
    cr_expect_eq(challenge_of("Bearer scope=\"x\"").scheme, CHALLENGE_NONE, "nowhere to get it");
}

Test(fetch_challenge, malformed) {
    static const char *const rows[] = {"Bearer realm=\"open",
                                       "Bearer realm=\"a\" service=",
                                       "Bearer realm=\"a\\",
                                       "Bearer realm=\"a\"b",
                                       "Bearer realm=a,realm=b",
                                       "=",
                                       "Bearer realm=\"\x01\"",
                                       "Bearer realm=\"\xc3\xa4\"",
                                       "\"",
                                       "Basic realm=\"x\", Bearer \"y\""};
    char long_one[3000] = "Bearer realm=\"";
    struct challenge c;
    struct err e = {0};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        cr_expect_eq(challenge_parse(rows[i], &c, &e), -EBADMSG, "%s", rows[i]);
    memset(long_one + 14, 'a', 2000);
    (void) snprintf(long_one + 2014, 2, "\"");
    cr_expect_eq(challenge_parse(long_one, &c, &e), -EBADMSG);
}

/* --- proxies ------------------------------------------------------------------------- */

Test(fetch_proxy, who_has_one) {
    static const struct {
        const char *scheme, *host, *none, *wanted;
    } rows[] = {
        {"http", "a.example", "", "h:1"},
        {"https", "a.example", "", "https://u:p@s:2"},
        {"https", "localhost", "", ""},
        {"http", "127.9.9.9", "", ""},
        {"http", "[::1]", "", ""},
        {"http", "a.example", "*", ""},
        {"http", "a.example", "b.example, A.Example", ""},
        {"http", "b.a.example", "b.example,.a.example", ""},
        {"http", "a.example", ".example", ""},
        {"http", "xa.example", "a.example", "h:1"},
        {"http", "a.example", "b.a.example", "h:1"},
        {"http", "10.1.2.3", "10.0.0.0/8", ""},
        {"http", "10.1.2.3", "10.1.2.0/23", ""},
        {"http", "10.1.4.3", "10.1.2.0/23", "h:1"},
        {"http", "11.1.2.3", "10.0.0.0/8", "h:1"},
        {"http", "11.1.2.3", "0.0.0.0/0", ""},
        {"http", "10.1.2.3", "1.2.3", "h:1"},
        {"http", "10.1.2.3", "10.1.2.3", ""},
        {"http", "10.1.2.3", "10.0.0.0/33,10.0.0.0/-1,10.0.0.0/,/8,x/8", "h:1"},
        {"http", "[fd00::1]", "fd00::/8", ""},
        {"http", "[fd00::1]", "fd00:0:0::1", ""},
        {"http", "[fe00::1]", "fd00::/8", "h:1"},
        {"http", "a.example", ",, ,.,", "h:1"},
    };
    struct proxies p = {.http = "h:1", .https = "https://u:p@s:2"};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        (void) snprintf(p.none, sizeof(p.none), "%s", rows[i].none);
        cr_expect_str_eq(proxy_for(&p, rows[i].scheme, rows[i].host), rows[i].wanted, "%s, not %s", rows[i].host,
                         rows[i].none);
    }
}

Test(fetch_proxy, what_is_near) {
    static const char *const near[] = {"localhost",
                                       "127.0.0.1",
                                       "127.9.9.9",
                                       "0.0.0.0",
                                       "0.1.2.3",
                                       "169.254.169.254",
                                       "[::1]",
                                       "[::]",
                                       "[fe80::1]",
                                       "[febf::1]",
                                       "[::ffff:127.0.0.1]",
                                       "[::ffff:0.0.0.0]",
                                       "[::ffff:169.254.1.1]"};
    static const char *const far[] = {"a.example", "128.0.0.1", "169.253.1.1", "10.0.0.1",
                                      "[::2]",     "[fec0::1]", "[fe7f::1]",   "[::ffff:10.0.0.1]"};
    for (size_t i = 0; i < sizeof(near) / sizeof(near[0]); i++)
        cr_expect(proxy_is_near(near[i]), "%s", near[i]);
    for (size_t i = 0; i < sizeof(far) / sizeof(far[0]); i++)
        cr_expect(!proxy_is_near(far[i]), "%s", far[i]);
}

Test(fetch_proxy, names_and_forms) {
    static const char *const good[] = {"p",        "p:3128", "http://p:1/", "HTTPS://u:p@p:1", "socks5h://[::1]:1080",
                                       "u@x:p@q:1"};
    static const char *const bad[] = {"ftp://p", "http://", "p q:1", "http://u:p@", "p\n", "p:1%", "://p"};
    struct err e = {0};
    char name[256];
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        struct proxies p = {0};
        (void) snprintf(p.http, sizeof(p.http), "%s", good[i]);
        cr_expect_eq(proxy_check(&p, &e), 0, "%s: %s", good[i], e.text);
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct proxies p = {0};
        (void) snprintf(p.https, sizeof(p.https), "%s", bad[i]);
        cr_expect_eq(proxy_check(&p, &e), -EINVAL, "%s", bad[i]);
    }
    cr_expect_str_eq(proxy_name("http://u:p@ss@p:3128/x", name), "p:3128");
    cr_expect_str_eq(proxy_name("socks5h://[::1]:1080", name), "[::1]:1080");
}

Test(fetch_proxy, what_the_environment_says) {
    static const char *const all[] = {"http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY",
                                      "all_proxy",  "ALL_PROXY",  "no_proxy",    "NO_PROXY"};
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
        (void) unsetenv(all[i]);
    (void) setenv("ALL_PROXY", "any:1", 1);
    (void) setenv("HTTPS_PROXY", "upper:2", 1);
    (void) setenv("https_proxy", "lower:3", 1);
    (void) setenv("no_proxy", "", 1);
    (void) setenv("NO_PROXY", "a,b", 1);
    cJSON *args = cJSON_CreateObject();
    registry_add_proxies(args);
    char *text = cJSON_PrintUnformatted(args);
    cr_expect_str_eq(text, "{\"proxies\":{\"http_proxy\":\"any:1\",\"https_proxy\":\"lower:3\",\"no_proxy\":\"a,b\"}}");
    free(text);
    cJSON_Delete(args);
}

/* --- the request --------------------------------------------------------------------- */

static int parsed(const char *text, struct err *e) {
    struct fetch_request *r = calloc(1, sizeof(*r));
    int result = request_parse(text, strlen(text), r, e);
    free(r);
    return result;
}

Test(fetch_request, good_and_bad) {
    static const char *const good[] = {
        "{\"mode\":\"image\",\"reference\":\"a:1\",\"endpoints\":[{\"host\":\"docker.io\"}],\"limit\":1,\"patience\":"
        "1}",
        "{\"mode\":\"file\",\"url\":\"https://h/f?x#y\",\"sha256\":\"" ZEROS "\",\"limit\":1,\"patience\":1}",
        "{\"mode\":\"file\",\"url\":\"http://127.0.0.1:1/f\",\"sha256\":\"" ZEROS "\",\"limit\":1,\"patience\":1}",
    };
    static const char *const bad[] = {
        "",
        "[]",
        "{}",
        "{\"mode\":\"image\",\"limit\":1,\"patience\":1}",
        "{\"mode\":\"image\",\"reference\":\"a:1\",\"endpoints\":[],\"limit\":1,\"patience\":1}",
        "{\"mode\":\"image\",\"reference\":\"a:1\",\"endpoints\":[{}],\"limit\":1,\"patience\":1}",
        "{\"mode\":\"image\",\"reference\":\"a:1\",\"endpoints\":[{\"host\":\"a/b\"}],\"limit\":1,\"patience\":1}",
        "{\"mode\":\"image\",\"reference\":\"A\",\"endpoints\":[{\"host\":\"a\"}],\"limit\":1,\"patience\":1}",
        "{\"mode\":\"image\",\"reference\":\"a:1\",\"endpoints\":[{\"host\":\"a\"}],\"limit\":0,\"patience\":1}",
        "{\"mode\":\"image\",\"reference\":\"a:1\",\"endpoints\":[{\"host\":\"a\"}],\"limit\":1,\"patience\":0}",
        "{\"mode\":\"other\",\"limit\":1,\"patience\":1}",
        "{\"mode\":\"file\",\"url\":\"http://h/f\",\"sha256\":\"" ZEROS "\",\"limit\":1,\"patience\":1}",
        "{\"mode\":\"file\",\"url\":\"ftp://h/f\",\"sha256\":\"" ZEROS "\",\"limit\":1,\"patience\":1}",
        "{\"mode\":\"file\",\"url\":\"https://u@h/f\",\"sha256\":\"" ZEROS "\",\"limit\":1,\"patience\":1}",
        "{\"mode\":\"file\",\"url\":\"https://h/f\",\"sha256\":\"00\",\"limit\":1,\"patience\":1}",
    };
    struct err e = {0};
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
        cr_expect_eq(parsed(good[i], &e), 0, "%s: %s", good[i], e.text);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        e = (struct err){0};
        cr_expect_lt(parsed(bad[i], &e), 0, "%s", bad[i]);
        cr_expect(e.text[0], "%s", bad[i]);
    }
}

/* --- documents ------------------------------------------------------------------------- */

static int kind_of(const char *text, const char *type, struct err *e) {
    enum document_kind kind = DOCUMENT_INDEX;
    int r = document_kind(text, strlen(text), type, &kind, e);
    return r ? r : (int) kind;
}

Test(fetch_manifest, kinds) {
    struct err e = {0};
    cr_expect_eq(kind_of("{\"layers\":[]}", "", &e), DOCUMENT_MANIFEST);
    cr_expect_eq(kind_of("{\"manifests\":[]}", "", &e), DOCUMENT_INDEX);
    cr_expect_eq(kind_of("{}", "application/vnd.oci.image.index.v1+json; charset=utf-8", &e), DOCUMENT_INDEX);
    cr_expect_eq(kind_of("{\"mediaType\":\"application/vnd.docker.distribution.manifest.v2+json\"}", "text/plain", &e),
                 DOCUMENT_MANIFEST);
    cr_expect_eq(kind_of("{\"schemaVersion\":1}", "", &e), -EPROTONOSUPPORT);
    cr_expect_eq(kind_of("{}", "application/vnd.docker.distribution.manifest.v1+prettyjws", &e), -EPROTONOSUPPORT);
    cr_expect_eq(kind_of("{\"layers\":[],\"manifests\":[]}", "", &e), -EBADMSG);
    cr_expect_eq(kind_of("{\"manifests\":[]}", "application/vnd.oci.image.manifest.v1+json", &e), -EBADMSG);
    cr_expect_eq(kind_of("{}", "text/html", &e), -EPROTONOSUPPORT);
    cr_expect_lt(kind_of("[]", "", &e), 0);
}

Test(fetch_manifest, limits_and_types) {
    static const char form[] =
        "{\"config\":{\"mediaType\":\"application/vnd.oci.image.config.v1+json\",\"digest\":\"sha256:" ZEROS
        "\",\"size\":%s},\"layers\":[{\"mediaType\":\"application/"
        "vnd.oci.image.layer.v1.tar%s\",\"digest\":\"sha256:" ZEROS "\",\"size\":%s}]}";
    static const struct {
        const char *config, *suffix, *size;
        int result;
    } rows[] = {{"7", "", "100", 0},
                {"7", "+gzip", "100", 0},
                {"7", "+zstd", "100", 0},
                {"7", "+zstd", "101", -EFBIG},
                {"7", "+br", "1", -EPROTONOSUPPORT},
                {"2000000", "", "1", -EFBIG}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char text[1024];
        struct manifest m;
        struct err e = {0};
        int n = snprintf(text, sizeof(text), form, rows[i].config, rows[i].suffix, rows[i].size);
        cr_expect_eq(manifest_read(text, (size_t) n, 100, &m, &e), rows[i].result, "%zu: %s", i, e.text);
        manifest_free(&m);
    }
}

/* --- the cache --------------------------------------------------------------------------- */

Test(fetch_cache, a_part_becomes_a_blob) {
    char folder[] = "/tmp/cache.XXXXXX", digest[DIGEST_TEXT_MAX];
    cr_assert_not_null(mkdtemp(folder));
    int store = open(folder, O_RDONLY | O_DIRECTORY);
    cache_digest("hello", 5, digest);
    cr_expect_str_eq(digest, "sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824");
    cr_expect_eq(cache_open(store, digest, 5), -ENOENT);
    int part = cache_open_part(store, digest);
    cr_assert_geq(part, 0);
    cr_expect_eq(cache_open_part(store, digest), -EWOULDBLOCK, "one at a time");
    cr_expect_eq(write(part, "hello", 5), 5);
    cr_expect_eq(cache_part_size(store, digest), 5);
    cr_expect_eq(cache_commit(store, digest), 0);
    cr_expect_eq(cache_open_part(store, digest), -EEXIST);
    int blob = cache_open(store, digest, 5);
    cr_expect_geq(blob, 0);
    struct document d = {.limit = 100};
    cr_expect_eq(cache_read(store, digest, &d), 0);
    cr_expect_str_eq(d.text, "hello");
    free(d.text);
    cr_expect_eq(cache_remove_damaged(store, digest), 0);
    cr_expect_eq(pwrite(part, "J", 1, 0), 1);
    cr_expect_eq(cache_remove_damaged(store, digest), 1);
    cr_expect_eq(cache_open(store, digest, 5), -ENOENT);
    cache_write(store, digest, "hello", 5);
    cr_expect_eq(cache_open(store, digest, 6), -ENOENT, "of another size: removed");
    cr_expect_eq(cache_open(store, digest, 5), -ENOENT);
    (void) close(part);
    (void) close(blob);
    (void) close(store);
    (void) rmdir(folder);
}

/* --- docker's configuration ------------------------------------------------------------------ */

static int login_of(const char *text, const char *host, struct docker_login *out) {
    struct err e = {0};
    int r = docker_config_find(text, strlen(text), host, out, &e);
    cr_expect_eq(r != 0, e.text[0] != 0);
    return r;
}

Test(docker_config, logins) {
    static const char text[] =
        "{\"auths\":{\"https://index.docker.io/v1/\":{\"auth\":\"dTpwOnE=\"},\"r.example:5000\":{\"username\":\"v\","
        "\"password\":\"w\"},\"https://old.example/v2/"
        "\":{\"auth\":\"YTpi\",\"identitytoken\":\"tok\"},\"bad\":{\"auth\":\"*\"},"
        "\"line\":{\"auth\":\"YTpiCg==\"},\"number\":{\"auth\":1}},"
        "\"credHelpers\":{\"gcr.example\":\"gcloud\",\"evil\":\"../../bin/sh\"}}";
    struct docker_login l;
    cr_expect_eq(login_of(text, "docker.io", &l), 0);
    cr_expect(strcmp(l.username, "u") == 0 && strcmp(l.password, "p:q") == 0 && !l.token[0] && !l.helper[0]);
    cr_expect_eq(login_of(text, "r.example:5000", &l), 0);
    cr_expect(strcmp(l.username, "v") == 0 && strcmp(l.password, "w") == 0);
    cr_expect_eq(login_of(text, "old.example", &l), 0);
    cr_expect_str_eq(l.token, "tok");
    cr_expect_eq(login_of(text, "gcr.example", &l), 0);
    cr_expect(strcmp(l.helper, "gcloud") == 0 && strcmp(l.server, "gcr.example") == 0);
    cr_expect_eq(login_of(text, "other.example", &l), 0);
    cr_expect(!l.username[0] && !l.helper[0]);
    cr_expect_eq(login_of(text, "bad", &l), -EINVAL);
    cr_expect_eq(login_of(text, "line", &l), -EINVAL, "a line end in a password would be a second header");
    cr_expect_eq(login_of(text, "number", &l), -EINVAL);
    cr_expect_eq(login_of(text, "evil", &l), -EINVAL);
    cr_expect_eq(login_of("{\"credsStore\":\"pass\"}", "docker.io", &l), 0);
    cr_expect(strcmp(l.helper, "pass") == 0 && strcmp(l.server, "https://index.docker.io/v1/") == 0);
    cr_expect_eq(login_of("", "a", &l), -EINVAL);
    cr_expect_eq(login_of("[]", "a", &l), -EINVAL);
    cr_expect_eq(login_of("{\"auths\":[]}", "a", &l), 0);
}

Test(docker_config, helpers_answers) {
    static const char good[] = "{\"ServerURL\":\"s\",\"Username\":\"u\",\"Secret\":\"p\"}";
    static const char token[] = "{\"Username\":\"<token>\",\"Secret\":\"t\"}";
    static const char *const bad[] = {"", "no", "[]", "{\"Username\":1}", "{\"Username\":\"a\\nb\",\"Secret\":\"\"}"};
    struct docker_login l = {.helper = "x"};
    struct err e = {0};
    cr_expect_eq(docker_helper_answer(good, strlen(good), &l, &e), 0);
    cr_expect(strcmp(l.username, "u") == 0 && strcmp(l.password, "p") == 0);
    cr_expect_eq(docker_helper_answer(token, strlen(token), &l, &e), 0);
    cr_expect_str_eq(l.token, "t");
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        cr_expect_eq(docker_helper_answer(bad[i], strlen(bad[i]), &l, &e), -EINVAL, "%s", bad[i]);
}

/* --- settings and names ------------------------------------------------------------------------ */

Test(registry_settings, tables) {
    static const char good[] = "[[registry]]\nhost = \"r.example\"\nmirror = \"m.lan:5000\"\n[[registry]]\nhost = "
                               "\"m.lan:5000\"\ninsecure = true\n[vm_defaults]\nvcpu = 1\n";
    static const char *const bad[] = {
        "[[registry]]\n",
        "[[registry]]\nmirror = \"a\"\n[vm_defaults]\n[[registry]]\nhost = \"a\"\n",
        "[[registry]]\nhost = \"a/b\"\n",
        "[[registry]]\nhost = \"a\"\nhost = \"b\"\n",
        "[[registry]]\nhost = \"a\"\ninsecure = 1\n",
        "[[registry]]\nhost = \"a\"\nspeed = 1\n",
        "[registry]\nhost = \"a\"\n",
    };
    static struct config config;
    struct err e = {0};
    cr_expect_eq(config_parse(good, strlen(good), "f", &config, &e), 0, "%s", e.text);
    cr_expect_eq(config.registry_count, 2);
    cr_expect_str_eq(config.registries[0].mirror, "m.lan:5000");
    cr_expect(config.registries[1].insecure && !config.registries[0].insecure);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        cr_expect_lt(config_parse(bad[i], strlen(bad[i]), "f", &config, &e), 0, "%s", bad[i]);
        cr_expect_eq(strncmp(e.text, "f:", 2), 0, "%s", e.text);
    }
}

Test(registry_settings, names) {
    char name[64];
    struct err e = {0};
    cr_expect_eq(registry_name("localhost:5000/team/app:1", name, &e), 0);
    cr_expect_str_eq(name, "localhost:5000/team/app:1");
    cr_expect_eq(registry_name("r.example/app@sha256:" ZEROS, name, &e), 0);
    cr_expect_str_eq(name, "app");
    cr_expect_eq(registry_name("[::1]:5000/team/app", name, &e), 0);
    cr_expect_str_eq(name, "app:latest");
    cr_expect_lt(
        registry_name("r.example/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", name, &e),
        0);
    cr_expect(strstr(e.text, "--name"));
}
