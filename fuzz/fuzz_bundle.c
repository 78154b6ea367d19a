/* Fuzzed: a bundle, pinned and signed as it is; what passes is a file system of the size that is said, and what
 * the manifest says of its running an object. First byte: odd, a superblock's bytes follow; else the
 * bundle's, and further bits spoil what is known of it; 16: as much is stored already as needs no ratio;
 * 32: the disk is full. */
#include "../unpriv/image/import/bundle.h"
#include "../unpriv/image/superblock.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void sign(const uint8_t *data, size_t size, struct import_pin *pin) {
    static const uint8_t seed[crypto_sign_SEEDBYTES] = {1};
    uint8_t secret[crypto_sign_SECRETKEYBYTES], hash[crypto_generichash_BYTES_MAX];
    (void) crypto_sign_seed_keypair(pin->key, secret, seed);
    (void) crypto_hash_sha256(pin->sha256, data, size);
    (void) crypto_generichash(hash, sizeof(hash), data, size, NULL, 0);
    (void) crypto_sign_detached(pin->signature, NULL, hash, sizeof(hash), secret);
}

static void check(int image, int config, const struct import_report *report) {
    struct stat st;
    struct err e;
    char text[65537] = "";
    if (fstat(image, &st) || (uint64_t) st.st_size != report->size || superblock_check_file(image, &e))
        abort();
    ssize_t n = pread(config, text, sizeof(text) - 1, 0);
    cJSON *object = n > 0 ? cJSON_Parse(text) : NULL;
    if (n > 0 && !cJSON_IsObject(object))
        abort();
    cJSON_Delete(object);
}

/* A file that cannot be read is told, whether it is the bundle or what came out of it. */
static void unreadable(void) {
    const struct import_plan plan = {.mode = IMPORT_BUNDLE, .size = 1 << 20};
    struct import_report report = {0};
    struct err e = {0};
    int folder = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC), empty = memfd_create("empty", MFD_CLOEXEC);
    if (bundle_read(&plan, folder, empty, empty, &report, &e) != -EISDIR || !e.text[0])
        abort();
    if (superblock_check_file(folder, &e) != -EINVAL || superblock_check_file(empty, &e) != -EINVAL)
        abort();
    (void) close(folder);
    (void) close(empty);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct import_plan plan = {.mode = IMPORT_BUNDLE, .size = size, .limit = 8 << 20};
    struct import_report report = {0};
    struct err e = {0};
    if (size == 0)
        return 0;
    if (data[0] & 1) {
        uint8_t block[SUPERBLOCK_SIZE] = {0};
        memcpy(block, data + 1, size - 1 < sizeof(block) ? size - 1 : sizeof(block));
        int bad = superblock_check(block, 1 << 20, &e);
        if ((bad != 0) != (e.text[0] != 0))
            abort();
        return 0;
    }
    static int once;
    if (!once++)
        unreadable();
    int in = memfd_create("bundle", MFD_CLOEXEC), image = memfd_create("image", MFD_CLOEXEC);
    int config = memfd_create("config", MFD_CLOEXEC);
    if (config < 0 || write(in, data + 1, size - 1) != (ssize_t) size - 1 || lseek(in, 0, SEEK_SET))
        abort();
    sign(data + 1, size - 1, &plan.pin);
    plan.size >>= data[0] >> 1 & 1;
    plan.pin.sha256[0] ^= data[0] & 4;
    plan.pin.signature[0] ^= data[0] & 8;
    report.used = data[0] & 16 ? 64 << 20 : 0;
    int full = open("/dev/full", O_RDWR | O_CLOEXEC);
    int r = bundle_read(&plan, in, data[0] & 32 ? full : image, config, &report, &e);
    (void) close(full);
    if (r == 0 && data[0] & (12 | 32))
        abort(); /* it was not the one that is pinned, or is nowhere */
    else if (r == 0)
        check(image, config, &report);
    else if (e.code != -r || !e.text[0])
        abort(); /* a failure has its sentence */
    (void) close(in);
    (void) close(image);
    (void) close(config);
    return 0;
}
