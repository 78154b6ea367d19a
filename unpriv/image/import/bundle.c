#include "bundle.h"

#include "../../../common/io.h"
#include "../oci_config.h"
#include "../run_config.h"
#include "../superblock.h"
#include "sha256.h"
#include "volume.h"

#include <archive.h>
#include <archive_entry.h>
#include <cjson/cJSON.h>
#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ROOTFS        "rootfs.ext4"
#define MANIFEST      "manifest.json"
#define MANIFEST_MOST (128 << 10)
#define FORMAT        1
#define ROOTFS_LEAST  (64 << 10)
#define RATIO         1024 /* stored bytes for one of the bundle; zeros are not stored */
#define RATIO_FREE    ((uint64_t) 64 << 20)
#define CHUNK         (1 << 18)

struct reader {
    crypto_generichash_state blake2b;
    const struct import_plan *plan;
    struct import_report *report;
    struct archive *archive;
    uint64_t size;  /* of rootfs.ext4, 0 so far none */
    char *manifest; /* NUL-terminated, NULL so far none */
    size_t manifest_size;
    int fd, out;
    int ended;
    SHA256_CTX sha256;
    struct err fault; /* of on_read */
    uint8_t chunk[CHUNK];
};

/* --- the stream -------------------------------------------------------------------- */

/* The next bytes, hashed: their number, 0 at the end, or a negative errno with the fault filled. */
static ssize_t fill(struct reader *d) {
    ssize_t n = io_read_some(d->fd, d->chunk, sizeof(d->chunk));
    if (n < 0)
        return err_sys(&d->fault, (int) -n, "The bundle cannot be read");
    d->ended = n == 0;
    d->report->bytes += (uint64_t) n;
    if (d->report->bytes > d->plan->size)
        return err_set(&d->fault, EFBIG, "The bundle is larger than the %llu bytes its catalog says: get it again",
                       (unsigned long long) d->plan->size);
    (void) SHA256_Update(&d->sha256, d->chunk, (size_t) n);
    (void) crypto_generichash_update(&d->blake2b, d->chunk, (size_t) n);
    import_progress(d->report->bytes, d->report->entries);
    return n;
}

static la_ssize_t on_read(struct archive *archive, void *context, const void **data) {
    struct reader *d = context;
    ssize_t n = d->ended ? 0 : fill(d);
    *data = d->chunk;
    if (n < 0)
        archive_set_error(archive, d->fault.code, "%s", d->fault.text);
    return n < 0 ? -1 : n;
}

static int damaged(struct reader *d, struct err *e) {
    if (d->fault.code) {
        *e = d->fault;
        return -e->code;
    }
    const char *why = archive_error_string(d->archive);
    return err_set(e, EBADMSG, "The bundle is damaged (%.200s): get it again", why ? why : "unreadable");
}

/* --- rootfs.ext4 --------------------------------------------------------------------- */

static int is_zero(const uint8_t *data, size_t size) {
    return size == 0 || (data[0] == 0 && memcmp(data, data + 1, size - 1) == 0);
}

/* Bytes up to the next block of the file. */
static size_t piece(uint64_t at, size_t left) {
    size_t most = BLOCK_SIZE - (size_t) (at % BLOCK_SIZE);
    return left < most ? left : most;
}

/* Writes what is not zero. */
static int store(struct reader *d, uint64_t at, const uint8_t *data, size_t size, struct err *e) {
    while (size > 0) {
        size_t run = 0, gap = piece(at, size);
        while (run < size && !is_zero(data + run, piece(at + run, size - run)))
            run += piece(at + run, size - run);
        d->report->used += run;
        if (d->report->used > RATIO_FREE + RATIO * d->report->bytes)
            return err_set(e, EFBIG, "The bundle unpacks to more than %d times its size: it is not one of banger's",
                           RATIO);
        int r = run ? volume_pwrite(d->out, data, run, at, e) : 0;
        if (r)
            return r;
        gap = run ? run : gap;
        at += gap;
        data += gap;
        size -= gap;
    }
    return 0;
}

static int take_rootfs(struct reader *d, struct archive_entry *entry, struct err *e) {
    const uint64_t most = import_limit(d->plan);
    const int64_t size = archive_entry_size(entry);
    const void *data = NULL;
    size_t length = 0;
    la_int64_t offset = 0;
    int got = ARCHIVE_OK;
    if (d->size)
        return err_set(e, EBADMSG, "The bundle has " ROOTFS " twice: it is not one of banger's");
    if (size < ROOTFS_LEAST || (uint64_t) size > most)
        return err_set(e, EFBIG, "The bundle's " ROOTFS " has %lld bytes: it may have %d to %llu", (long long) size,
                       ROOTFS_LEAST, (unsigned long long) most);
    d->size = (uint64_t) size;
    while ((got = archive_read_data_block(d->archive, &data, &length, &offset)) == ARCHIVE_OK) {
        if (offset < 0 || (uint64_t) offset > d->size || length > d->size - (uint64_t) offset)
            return err_set(e, EBADMSG, "The bundle's " ROOTFS " is longer than its header says");
        int r = store(d, (uint64_t) offset, data, length, e);
        if (r)
            return r;
    }
    if (got != ARCHIVE_EOF)
        return damaged(d, e);
    return ftruncate(d->out, (off_t) d->size) ? err_sys(e, errno, "The image's file cannot be written") : 0;
}

/* --- manifest.json ------------------------------------------------------------------- */

static int take_manifest(struct reader *d, struct archive_entry *entry, struct err *e) {
    const int64_t size = archive_entry_size(entry);
    if (d->manifest)
        return err_set(e, EBADMSG, "The bundle has " MANIFEST " twice: it is not one of banger's");
    if (size <= 0 || size > MANIFEST_MOST)
        return err_set(e, EFBIG, "The bundle's " MANIFEST " has %lld bytes: it may have 1 to %d", (long long) size,
                       MANIFEST_MOST);
    d->manifest = calloc(1, (size_t) size + 1);
    if (!d->manifest)
        return err_set(e, ENOMEM, "There is not enough memory to read a bundle; free some and try again");
    d->manifest_size = (size_t) size;
    return archive_read_data(d->archive, d->manifest, (size_t) size) == size ? 0 : damaged(d, e);
}

static int write_config(const cJSON *wanted, int fd, struct err *e) {
    cJSON *config = run_config_take(wanted, e);
    int r = config ? run_config_write(fd, config, e) : -e->code;
    cJSON_Delete(config);
    return r;
}

/* The members that are not looked at are for people: the name, the kernel. */
static int check_manifest(const struct reader *d, int config_fd, struct err *e) {
    cJSON *manifest = oci_json(d->manifest, d->manifest_size, "The bundle's " MANIFEST, e);
    if (!manifest)
        return -e->code;
    const cJSON *format = cJSON_GetObjectItemCaseSensitive(manifest, "format");
    const cJSON *size = cJSON_GetObjectItemCaseSensitive(manifest, "size");
    const cJSON *config = cJSON_GetObjectItemCaseSensitive(manifest, "config");
    int r = 0;
    if (!cJSON_IsNumber(format) || format->valuedouble != FORMAT)
        r = err_set(e, EPROTO, "The bundle's " MANIFEST " is not of format %d: get a newer banger", FORMAT);
    else if (!cJSON_IsNumber(size) || size->valuedouble != (double) d->size)
        r = err_set(e, EBADMSG, "The bundle's " MANIFEST " is of another " ROOTFS ": make the bundle again");
    else if (config)
        r = write_config(config, config_fd, e);
    cJSON_Delete(manifest);
    return r;
}

/* --- the whole ----------------------------------------------------------------------- */

static int take_entry(struct reader *d, struct archive_entry *entry, struct err *e) {
    const char *path = archive_entry_pathname(entry);
    int plain = archive_entry_filetype(entry) == AE_IFREG && !archive_entry_hardlink(entry) && path;
    if (plain && strcmp(path, ROOTFS) == 0)
        return take_rootfs(d, entry, e);
    if (plain && strcmp(path, MANIFEST) == 0)
        return take_manifest(d, entry, e);
    return err_set(e, EBADMSG,
                   "The bundle has \"%.200s\" in it, and may have the files " ROOTFS " and " MANIFEST " only",
                   path ? path : "");
}

static int take_all(struct reader *d, struct err *e) {
    for (;;) {
        struct archive_entry *entry = NULL;
        int got = archive_read_next_header(d->archive, &entry);
        if (got == ARCHIVE_EOF)
            break;
        if (got != ARCHIVE_OK)
            return damaged(d, e);
        int r = take_entry(d, entry, e);
        if (r)
            return r;
        d->report->entries++;
    }
    while (!d->ended) { /* what follows the archive's end belongs to the hashes */
        if (fill(d) < 0)
            return damaged(d, e);
    }
    if (!d->size || !d->manifest)
        return err_set(e, EBADMSG, "The bundle has no %s: it is not one of banger's", d->size ? MANIFEST : ROOTFS);
    return 0;
}

static int check_pin(struct reader *d, struct err *e) {
    const struct import_pin *pin = &d->plan->pin;
    uint8_t sha256[SHA256_DIGEST_LENGTH], blake2b[crypto_generichash_BYTES_MAX];
    char hex[2 * sizeof(sha256) + 1];
    (void) SHA256_Final(sha256, &d->sha256);
    (void) crypto_generichash_final(&d->blake2b, blake2b, sizeof(blake2b));
    if (sodium_memcmp(sha256, pin->sha256, sizeof(sha256)) != 0)
        return err_set(e, EBADMSG, "The bundle is not the one its catalog pins (its SHA-256 is %s): get it again",
                       sodium_bin2hex(hex, sizeof(hex), sha256, sizeof(sha256)));
    if (crypto_sign_verify_detached(pin->signature, blake2b, sizeof(blake2b), pin->key) != 0)
        return err_set(e, EBADMSG, "The bundle's signature is wrong: its catalog has another file's; have it mended");
    return 0;
}

static int open_bundle(struct reader *d, struct err *e) {
    d->archive = archive_read_new();
    if (!d->archive)
        return err_set(e, ENOMEM, "There is not enough memory to read a bundle; free some and try again");
    if (archive_read_support_format_tar(d->archive) != ARCHIVE_OK ||
        archive_read_support_filter_zstd(d->archive) != ARCHIVE_OK)
        return damaged(d, e);
    if (archive_read_open(d->archive, d, NULL, on_read, NULL) != ARCHIVE_OK)
        return d->fault.code ? damaged(d, e)
                             : err_set(e, EINVAL, "The bundle is not a tar file packed with zstd: get it again");
    return 0;
}

int bundle_read(const struct import_plan *plan, int fd, int out, int config, struct import_report *report,
                struct err *e) {
    struct reader *d = sodium_init() < 0 ? NULL : calloc(1, sizeof(*d));
    if (!d)
        return err_set(e, ENOMEM, "There is not enough memory to read a bundle; free some and try again");
    *d = (struct reader){.plan = plan, .report = report, .fd = fd, .out = out};
    (void) SHA256_Init(&d->sha256);
    (void) crypto_generichash_init(&d->blake2b, NULL, 0, crypto_generichash_BYTES_MAX);
    int r = open_bundle(d, e);
    if (r == 0)
        r = take_all(d, e);
    if (r == 0)
        r = check_pin(d, e);
    if (r == 0 && superblock_check_file(out, e))
        r = err_prefix(e, "The bundle's " ROOTFS);
    if (r == 0)
        r = check_manifest(d, config, e);
    report->size = d->size;
    if (d->archive)
        (void) archive_read_free(d->archive);
    free(d->manifest);
    free(d);
    return r;
}
