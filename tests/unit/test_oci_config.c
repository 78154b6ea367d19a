#include "../../unpriv/image/oci_config.h"
#include "../../unpriv/image/oci_manifest.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ZEROS "0000000000000000000000000000000000000000000000000000000000000000"
#define ONES  "1111111111111111111111111111111111111111111111111111111111111111"

static struct err config_refused(const char *text) {
    struct oci_config c;
    struct err e = {0};
    cr_assert_lt(oci_config_read(text, strlen(text), &c, &e), 0, "%s", text);
    cr_expect(e.text[0]);
    oci_config_free(&c);
    return e;
}

Test(oci_config, one_canonical_form) {
    static const char text[] =
        "{\"architecture\":\"amd64\",\"os\":\"linux\",\"history\":[{\"created_by\":\"\\\"[\"}],\"config\":{\"Cmd\":["
        "\"sh\"],\"Env\":[\"A=b\",\"C=\\u00e4\"],\"Entrypoint\":null,\"User\":\"\",\"WorkingDir\":\"/"
        "x\",\"StopSignal\":"
        "\"SIGTERM\",\"Labels\":{\"a\":\"b\"}},\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[\"sha256:" ONES "\"]}}\n";
    struct oci_config c;
    struct err e = {0};
    cr_assert_eq(oci_config_read(text, strlen(text), &c, &e), 0, "%s", e.text);
    cr_expect_str_eq(c.canonical, "{\"env\":[\"A=b\",\"C=\xc3\xa4\"],\"workdir\":\"/x\",\"cmd\":[\"sh\"],"
                                  "\"stop_signal\":\"SIGTERM\",\"architecture\":\"amd64\"}");
    cr_expect_eq(c.layers, 1);
    cr_expect_eq(c.diff_ids[0][31], 0x11);
    cr_expect_eq(oci_platform_check(&c, "", &e), 0);
    cr_expect_lt(oci_platform_check(&c, "linux/arm64", &e), 0);
    char hex[65];
    oci_digest_hex(c.diff_ids[0], hex);
    cr_expect_str_eq(hex, ONES);
    oci_config_free(&c);
}

Test(oci_config, what_is_none_is_told) {
    (void) config_refused("");
    (void) config_refused("[]");
    (void) config_refused("{} {}");
    (void) config_refused("{\"rootfs\":{\"diff_ids\":[\"sha256:12\"]}}");
    (void) config_refused("{\"rootfs\":{\"diff_ids\":[\"sha512:" ZEROS "\"]}}");
    (void) config_refused("{\"rootfs\":{\"diff_ids\":{}}}");
    (void) config_refused("{\"rootfs\":{},\"config\":[]}");
    (void) config_refused("{\"rootfs\":{},\"os\":1}");
    (void) config_refused("{\"rootfs\":{},\"config\":{\"Env\":\"A=b\"}}");
    (void) config_refused("{\"rootfs\":{},\"config\":{\"Env\":[1]}}");
    (void) config_refused("{\"rootfs\":{},\"config\":{\"User\":5}}");
    struct err e = {0};
    cr_expect_null(oci_json("{\"a\":\"b\0\"}", 10, "It", &e));
}

Test(oci_config, documents_are_bounded) {
    char *text = calloc(1, 5 << 20);
    memset(text, '[', 4000);
    cr_expect(strstr(config_refused(text).text, "nested deeper"));
    for (size_t i = 0; i < 200000; i += 2)
        memcpy(text + i, "1,", 2);
    text[0] = '[';
    cr_expect(strstr(config_refused(text).text, "larger"));
    size_t at = (size_t) sprintf(text, "{\"rootfs\":{},\"config\":{\"User\":\"");
    memset(text + at, 'x', 70000);
    (void) sprintf(text + at + 70000, "\"}}");
    cr_expect(strstr(config_refused(text).text, "64 KiB"));
    free(text);
}

static const char manifests[] =
    "{\"schemaVersion\":2,\"manifests\":["
    "{\"digest\":\"sha256:" ZEROS
    "\",\"size\":7,\"platform\":{\"os\":\"linux\",\"architecture\":\"arm64\",\"variant\":\"v8\"}},"
    "{\"digest\":\"sha256:" ONES "\",\"size\":8,\"platform\":{\"os\":\"linux\",\"architecture\":\"amd64\"}},"
    "{\"digest\":\"sha256:" ZEROS "\",\"size\":9,\"platform\":{\"os\":\"unknown\",\"architecture\":\"unknown\"}}]}";

Test(oci_config, an_index_leads_to_the_platform) {
    struct oci_descriptor got;
    struct err e = {0};
    cr_assert_eq(oci_index_pick(manifests, strlen(manifests), "", "", &got, &e), 0, "%s", e.text);
    cr_expect_eq(got.size, 8);
    cr_assert_eq(oci_index_pick(manifests, strlen(manifests), "linux/arm64/v8", "", &got, &e), 0);
    cr_expect_eq(got.size, 7);
    cr_assert_eq(oci_index_pick(manifests, strlen(manifests), "linux/arm64", "", &got, &e), 0);
    cr_expect_eq(got.size, 7);
    cr_expect_lt(oci_index_pick(manifests, strlen(manifests), "linux/arm64/v7", "", &got, &e), 0);
    cr_expect_lt(oci_index_pick(manifests, strlen(manifests), "linux/s390x", "", &got, &e), 0);
    cr_expect(strstr(e.text, "linux/arm64, linux/amd64"), "%s", e.text);
    cr_expect_lt(oci_index_pick(manifests, strlen(manifests), "", "sid", &got, &e), 0);
    cr_expect(oci_is_index(manifests, strlen(manifests)));
}

Test(oci_config, tags_are_found_by_their_end) {
    cr_expect(oci_tag_fits("docker.io/library/debian:12", "12"));
    cr_expect(oci_tag_fits("docker.io/library/debian:12", "debian:12"));
    cr_expect(oci_tag_fits("latest", "latest"));
    cr_expect_not(oci_tag_fits("debian:12", "2"));
    cr_expect_not(oci_tag_fits("12", "debian:12"));
    static const char two[] =
        "{\"manifests\":[{\"digest\":\"sha256:" ZEROS
        "\",\"size\":1,\"annotations\":{\"org.opencontainers.image.ref.name\":\"a\"}},{\"digest\":\"sha256:" ONES
        "\",\"size\":2,\"annotations\":{\"org.opencontainers.image.ref.name\":\"b\"}}]}";
    struct oci_descriptor got;
    struct err e = {0};
    cr_assert_eq(oci_index_pick(two, strlen(two), "", "b", &got, &e), 0);
    cr_expect_eq(got.size, 2);
    cr_expect_lt(oci_index_pick(two, strlen(two), "", "", &got, &e), 0);
    cr_expect(strstr(e.text, "--tag"), "%s", e.text);
}

Test(oci_config, manifests) {
    static const char good[] =
        "{\"config\":{\"digest\":\"sha256:" ZEROS "\",\"size\":3},\"layers\":[{\"digest\":\"sha256:" ONES
        "\",\"size\":4,\"mediaType\":\"application/vnd.oci.image.layer.v1.tar+zstd\"}]}";
    struct oci_manifest m;
    struct err e = {0};
    cr_assert_eq(oci_manifest_read(good, strlen(good), &m, &e), 0, "%s", e.text);
    cr_expect_eq(m.count, 1);
    cr_expect_eq(m.layers[0].size, 4);
    oci_manifest_free(&m);
    static const char *const bad[] = {
        "{}",
        "{\"fsLayers\":[]}",
        "{\"layers\":[]}",
        "{\"layers\":[],\"config\":{\"digest\":\"sha256:" ZEROS "\",\"size\":-1}}",
        "{\"layers\":[],\"config\":{\"digest\":\"sha256:" ZEROS "\",\"size\":1e300}}",
        "{\"layers\":[{}],\"config\":{\"digest\":\"sha256:" ZEROS "\",\"size\":1}}",
        "{\"layers\":[{\"digest\":\"sha256:" ZEROS
        "\",\"size\":1,\"mediaType\":\"application/vnd.docker.image.rootfs.foreign.diff.tar.gzip\"}],\"config\":{"
        "\"digest\":\"sha256:" ZEROS "\",\"size\":1}}",
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        cr_expect_lt(oci_manifest_read(bad[i], strlen(bad[i]), &m, &e), 0, "%s", bad[i]);
        oci_manifest_free(&m);
    }
}
