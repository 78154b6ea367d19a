/* import/bundle.c: exactly two members, exactly the bytes that were pinned and signed. */
#include "../../unpriv/image/import/bundle.h"
#include "import_help.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MIB      (1u << 20)
#define MANIFEST "{\"format\":1,\"size\":4194304,\"config\":{\"env\":[\"A=b\"]}}"

static struct import_plan plan;
static struct import_report report;
static struct err error;
static int image, config;
static uint8_t root[4 * MIB];

/* Four MiB with a superblock, a text at the end of the second MiB, and zeros. */
static void begin(void) {
    static const struct {
        size_t at;
        uint8_t value;
    } bytes[] = {{0x05, 4},    {0x18, 2}, {0x21, 0x80}, {0x29, 0x10}, {0x38, 0x53},
                 {0x39, 0xef}, {0x3a, 1}, {0x4c, 1},    {0x59, 1},    {0x60, 0x42}};
    for (size_t i = 0; i < sizeof(bytes) / sizeof(bytes[0]); i++)
        root[1024 + bytes[i].at] = bytes[i].value;
    memcpy(root + 2 * MIB - 7, "written", 7);
    plan = (struct import_plan){.mode = IMPORT_BUNDLE};
}
TestSuite(bundle, .init = begin);

static struct pack open_pack(void) {
    struct pack p = {.archive = archive_write_new(), .fd = image_fd()};
    cr_assert_eq(archive_write_set_format_pax_restricted(p.archive), ARCHIVE_OK);
    cr_assert_eq(archive_write_add_filter_zstd(p.archive), ARCHIVE_OK);
    cr_assert_eq(archive_write_open_fd(p.archive, p.fd), ARCHIVE_OK);
    return p;
}

static void put(struct pack *p, const char *path, const void *data, size_t size) {
    pack_put(p, pack_entry(path, S_IFREG | 0644), data, size);
}

/* Pins and signs what is in the file. */
static void sign(int fd) {
    static const uint8_t seed[crypto_sign_SEEDBYTES] = {7};
    uint8_t secret[crypto_sign_SECRETKEYBYTES], hash[crypto_generichash_BYTES_MAX];
    struct stat st;
    cr_assert_eq(fstat(fd, &st), 0);
    uint8_t *data = malloc((size_t) st.st_size + 1);
    cr_assert_eq(pread(fd, data, (size_t) st.st_size, 0), st.st_size);
    (void) crypto_sign_seed_keypair(plan.pin.key, secret, seed);
    (void) crypto_hash_sha256(plan.pin.sha256, data, (size_t) st.st_size);
    (void) crypto_generichash(hash, sizeof(hash), data, (size_t) st.st_size, NULL, 0);
    (void) crypto_sign_detached(plan.pin.signature, NULL, hash, sizeof(hash), secret);
    plan.size = (uint64_t) st.st_size;
    free(data);
}

static int read_bundle(int fd) {
    image = image_fd();
    config = image_fd();
    report = (struct import_report){0};
    error = (struct err){0};
    cr_assert_eq(lseek(fd, 0, SEEK_SET), 0);
    return bundle_read(&plan, fd, image, config, &report, &error);
}

static int whole(void) {
    struct pack p = open_pack();
    put(&p, "manifest.json", MANIFEST, strlen(MANIFEST));
    put(&p, "rootfs.ext4", root, sizeof(root));
    int fd = pack_close(&p);
    sign(fd);
    return fd;
}

static void refused(struct pack *p, const char *words) {
    int fd = pack_close(p);
    sign(fd);
    cr_expect_lt(read_bundle(fd), 0, "%s", words);
    cr_expect(strstr(error.text, words), "%s", error.text);
    (void) close(fd);
}

Test(bundle, a_whole_one) {
    struct stat st;
    char text[64] = "";
    static uint8_t back[sizeof(root)];
    cr_assert_eq(read_bundle(whole()), 0, "%s", error.text);
    cr_expect_eq(report.size, sizeof(root));
    cr_expect_eq(report.entries, 2);
    cr_expect(report.used > 0 && report.used <= 8192, "two blocks, or parts of them, are not zero");
    cr_assert_eq(pread(image, back, sizeof(back), 0), (ssize_t) sizeof(back));
    cr_expect_eq(memcmp(back, root, sizeof(root)), 0);
    cr_expect(fstat(image, &st) == 0 && st.st_blocks * 512 <= 4 * 4096, "it has no holes");
    cr_assert_gt(pread(config, text, sizeof(text) - 1, 0), 0);
    cr_expect_str_eq(text, "{\"env\":[\"A=b\"]}");
}

Test(bundle, the_pin_is_of_every_byte) {
    int fd = whole();
    plan.pin.sha256[0] ^= 1;
    cr_expect_eq(read_bundle(fd), -EBADMSG);
    cr_expect(strstr(error.text, "not the one its catalog pins"), "%s", error.text);
    plan.pin.sha256[0] ^= 1;
    plan.pin.signature[9] ^= 1;
    cr_expect_eq(read_bundle(fd), -EBADMSG);
    cr_expect(strstr(error.text, "signature is wrong"), "%s", error.text);
    plan.pin.signature[9] ^= 1;
    plan.pin.key[9] ^= 1;
    cr_expect_eq(read_bundle(fd), -EBADMSG);
    plan.pin.key[9] ^= 1;
    cr_expect_eq(read_bundle(fd), 0, "%s", error.text);
    plan.size--;
    cr_expect_eq(read_bundle(fd), -EFBIG);
    plan.size += 2;
    cr_assert_eq(pwrite(fd, "", 1, (off_t) plan.size - 1), 1); /* behind the end: it counts too */
    cr_expect_lt(read_bundle(fd), 0);
    cr_expect(error.text[0]);
}

Test(bundle, exactly_two_members) {
    struct pack p = open_pack();
    refused(&p, "no rootfs.ext4");
    p = open_pack();
    put(&p, "manifest.json", MANIFEST, strlen(MANIFEST));
    refused(&p, "no rootfs.ext4");
    p = open_pack();
    put(&p, "rootfs.ext4", root, sizeof(root));
    refused(&p, "no manifest.json");
    p = open_pack();
    put(&p, "rootfs.ext4", root, sizeof(root));
    put(&p, "rootfs.ext4", root, sizeof(root));
    refused(&p, "twice");
    p = open_pack();
    put(&p, "manifest.json", MANIFEST, strlen(MANIFEST));
    put(&p, "manifest.json", MANIFEST, strlen(MANIFEST));
    refused(&p, "twice");
    p = open_pack();
    put(&p, "../rootfs.ext4", root, sizeof(root));
    refused(&p, "has \"../rootfs.ext4\"");
    p = open_pack();
    pack_folder(&p, "rootfs.ext4");
    refused(&p, "has \"rootfs.ext4");
    p = open_pack();
    pack_symlink(&p, "manifest.json", "/etc/passwd");
    refused(&p, "has \"manifest.json\"");
    p = open_pack();
    put(&p, "rootfs.ext4", root, sizeof(root));
    pack_hardlink(&p, "manifest.json", "rootfs.ext4");
    refused(&p, "has \"manifest.json\"");
}

Test(bundle, sizes_are_bounded) {
    struct pack p = open_pack();
    put(&p, "rootfs.ext4", root, 65535);
    refused(&p, "it may have 65536 to");
    p = open_pack();
    put(&p, "manifest.json", root, (128 << 10) + 1);
    refused(&p, "it may have 1 to");
    p = open_pack();
    put(&p, "manifest.json", "", 0);
    refused(&p, "it may have 1 to");
    plan.limit = sizeof(root) - 1;
    cr_expect_eq(read_bundle(whole()), -EFBIG);
}

Test(bundle, what_is_in_them) {
    static const struct {
        const char *manifest, *words;
    } cases[] = {
        {"nonsense", "manifest.json"},
        {"[]", "manifest.json"},
        {"{\"size\":4194304}", "not of format 1"},
        {"{\"format\":2,\"size\":4194304}", "not of format 1"},
        {"{\"format\":1}", "another rootfs.ext4"},
        {"{\"format\":1,\"size\":4194303}", "another rootfs.ext4"},
        {"{\"format\":1,\"size\":4194304,\"config\":[]}", ""},
        {"{\"format\":1,\"size\":4194304,\"config\":{\"env\":5}}", ""},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct pack p = open_pack();
        put(&p, "rootfs.ext4", root, sizeof(root));
        put(&p, "manifest.json", cases[i].manifest, strlen(cases[i].manifest));
        refused(&p, cases[i].words);
    }
    root[1024 + 0x38] = 0;
    cr_expect_eq(read_bundle(whole()), -EINVAL);
    cr_expect(strstr(error.text, "no ext4 file system"), "%s", error.text);
}

Test(bundle, other_archives) {
    cr_expect_lt(read_bundle(bytes_fd("junk", 4)), 0);
    plan.size = 4;
    cr_expect_eq(read_bundle(bytes_fd("junk", 4)), -EINVAL);
    cr_expect(strstr(error.text, "not a tar file packed with zstd"), "%s", error.text);
    int fd = whole();
    cr_assert_eq(ftruncate(fd, (off_t) plan.size - 20), 0);
    sign(fd);
    cr_expect_lt(read_bundle(fd), 0);
    cr_expect(strstr(error.text, "damaged"), "%s", error.text);
}
