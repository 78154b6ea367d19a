#include "bundle.h"

#include "../../common/cleanup.h"
#include "../../common/io.h"
#include "client.h"
#include "file.h"
#include "local.h"
#include "output.h"
#include "session.h"
#include "signals.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <sha256.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <zstd.h>

#define FORMAT      1
#define CONFIG_MOST 65536
#define BLOCK       (1 << 20) /* is compressed at a time, whatever the image's holes: the same image, the same bytes */
#define LEVEL       4

/* One bundle being made: image -> tar -> zstd -> SHA-256 and file. */
struct making {
    const cJSON *image;
    struct progress *progress;
    int from, to;
    char fresh[PATH_MAX + 32]; /* the file until it is whole */
    struct archive *tar;
    ZSTD_CCtx *zstd;
    SHA256_CTX sha256;
    int64_t written;
    int failed; /* negative errno of the first write that failed */
    char packed[BLOCK], plain[BLOCK];
};

/* --- the sink ---------------------------------------------------------------- */

static int pack(struct making *m, const void *data, size_t size, ZSTD_EndDirective end) {
    ZSTD_inBuffer in = {data, size, 0};
    size_t left = 1;
    while (left > 0) {
        ZSTD_outBuffer out = {m->packed, sizeof(m->packed), 0};
        left = ZSTD_compressStream2(m->zstd, &out, &in, end);
        if (ZSTD_isError(left))
            return -ENOMEM;
        if (end == ZSTD_e_continue)
            left = in.size - in.pos;
        SHA256Update(&m->sha256, (const uint8_t *) m->packed, out.pos);
        m->written += (int64_t) out.pos;
        int r = io_write(m->to, m->packed, out.pos);
        if (r)
            return r;
    }
    return 0;
}

/* libarchive never sees a write fail: it would forget to free its buffer (3.6.2). */
static la_ssize_t write_out(struct archive *archive, void *arg, const void *data, size_t size) {
    (void) archive;
    struct making *m = arg;
    if (m->failed == 0)
        m->failed = pack(m, data, size, ZSTD_e_continue);
    return (la_ssize_t) size;
}

static int tar_failed(const struct making *m, struct err *e) {
    if (m->failed)
        return err_sys(e, -m->failed, "cannot write %s", m->fresh);
    int code = archive_errno(m->tar);
    return err_set(e, code > 0 ? code : EIO, "cannot write the bundle: %s", archive_error_string(m->tar));
}

static int open_sink(struct making *m, struct err *e) {
    SHA256Init(&m->sha256);
    m->zstd = ZSTD_createCCtx();
    m->tar = archive_write_new();
    if (!m->zstd || !m->tar || ZSTD_isError(ZSTD_CCtx_setParameter(m->zstd, ZSTD_c_compressionLevel, LEVEL)) ||
        ZSTD_isError(ZSTD_CCtx_setParameter(m->zstd, ZSTD_c_checksumFlag, 1)))
        return err_set(e, ENOMEM, "there is not enough memory to pack a bundle: free some and try again");
    if (archive_write_set_format_pax_restricted(m->tar) != ARCHIVE_OK ||
        archive_write_set_bytes_per_block(m->tar, BLOCK) != ARCHIVE_OK ||
        archive_write_set_bytes_in_last_block(m->tar, 1) != ARCHIVE_OK ||
        archive_write_open(m->tar, m, NULL, write_out, NULL) != ARCHIVE_OK)
        return tar_failed(m, e);
    return 0;
}

static int put_header(struct making *m, const char *name, int64_t size, struct err *e) {
    struct archive_entry *entry = archive_entry_new();
    if (!entry)
        return err_set(e, ENOMEM, "there is not enough memory to pack a bundle: free some and try again");
    archive_entry_set_pathname(entry, name);
    archive_entry_set_mode(entry, S_IFREG | 0644);
    archive_entry_set_size(entry, size);
    archive_entry_set_mtime(entry, 0, 0);
    int r = archive_write_header(m->tar, entry);
    archive_entry_free(entry);
    return r != ARCHIVE_OK || m->failed ? tar_failed(m, e) : 0;
}

static int put_data(struct making *m, const void *data, size_t size, struct err *e) {
    la_ssize_t n = archive_write_data(m->tar, data, size);
    if (signals_ending())
        return err_set(e, EINTR, "the bundle was cancelled");
    return n != (la_ssize_t) size || m->failed ? tar_failed(m, e) : 0;
}

/* --- the members --------------------------------------------------------------- */

/* How the image wants to be run, where it says so. The caller's. */
static int read_config(const cJSON *image, cJSON **config, struct err *e) {
    char path[PATH_MAX], text[CONFIG_MOST];
    (void) snprintf(path, sizeof(path), "%s", output_member(image, "path"));
    char *name = strrchr(path, '/');
    *config = NULL;
    if (!name || strcmp(output_member(image, "kind"), LOCAL_REGISTERED) == 0)
        return 0;
    (void) snprintf(name, sizeof(path) - (size_t) (name - path), "/config.json");
    ssize_t size = file_read(path, text, sizeof(text), e);
    if (size <= 0)
        return (int) size;
    *config = cJSON_ParseWithLength(text, (size_t) size);
    return cJSON_IsObject(*config) ? 0 : err_set(e, EBADMSG, "%s is damaged: pull the image again", path);
}

static int put_manifest(struct making *m, int64_t size, struct err *e) {
    cJSON *config = NULL;
    int r = read_config(m->image, &config, e);
    cJSON *manifest = cJSON_CreateObject();
    (void) cJSON_AddNumberToObject(manifest, "format", FORMAT);
    (void) cJSON_AddStringToObject(manifest, "name", output_member(m->image, "name"));
    (void) cJSON_AddStringToObject(manifest, "kernel", output_member(m->image, "kernel"));
    (void) cJSON_AddNumberToObject(manifest, "size", (double) size);
    if (config)
        (void) cJSON_AddItemToObject(manifest, "config", config);
    cleanup_free char *text = cJSON_PrintUnformatted(manifest);
    cJSON_Delete(manifest);
    if (r)
        return r;
    if (!text)
        return err_set(e, ENOMEM, "there is not enough memory to pack a bundle: free some and try again");
    r = put_header(m, "manifest.json", (int64_t) strlen(text), e);
    return r ? r : put_data(m, text, strlen(text), e);
}

/* The next `size` bytes at `at`: zeros, without reading, where the file has a hole. */
static int get(struct making *m, int64_t at, size_t size, struct err *e) {
    off_t data = lseek(m->from, at, SEEK_DATA);
    if (data < 0 ? errno == ENXIO : data >= at + (off_t) size) {
        memset(m->plain, 0, size);
        return 0;
    }
    for (size_t have = 0; have < size;) {
        ssize_t n = pread(m->from, m->plain + have, size - have, at + (off_t) have);
        if (n == 0)
            return err_set(e, EIO, "%s became shorter meanwhile: try again", output_member(m->image, "path"));
        if (n < 0 && errno != EINTR)
            return err_sys(e, errno, "cannot read %s", output_member(m->image, "path"));
        have += n > 0 ? (size_t) n : 0;
    }
    return 0;
}

static int put_rootfs(struct making *m, int64_t size, struct err *e) {
    int r = put_header(m, "rootfs.ext4", size, e);
    for (int64_t at = 0; r == 0 && at < size; at += BLOCK) {
        size_t part = size - at < BLOCK ? (size_t) (size - at) : BLOCK;
        r = get(m, at, part, e);
        if (r == 0)
            r = put_data(m, m->plain, part, e);
        progress_update(m->progress, "bundle", "packing", at, size);
        progress_tick(m->progress);
        for (int number; (number = signals_next());)
            signals_note(number);
    }
    return r;
}

/* --- the file ------------------------------------------------------------------ */

static int put_all(struct making *m, struct err *e) {
    struct stat st;
    if (fstat(m->from, &st))
        return err_sys(e, errno, "cannot look at %s", output_member(m->image, "path"));
    int r = open_sink(m, e);
    if (r == 0)
        r = put_manifest(m, st.st_size, e);
    if (r == 0)
        r = put_rootfs(m, st.st_size, e);
    if (r == 0 && archive_write_close(m->tar) != ARCHIVE_OK)
        r = tar_failed(m, e);
    if (r == 0 && (m->failed || (m->failed = pack(m, NULL, 0, ZSTD_e_end))))
        r = tar_failed(m, e);
    if (r == 0 && fsync(m->to))
        r = err_sys(e, errno, "cannot write %s", m->fresh);
    if (r == 0)
        progress_update(m->progress, "bundle", "packed", st.st_size, st.st_size);
    return r;
}

/* The name appears with the last byte, and in nothing's place. */
static int make(struct making *m, const char *out, struct err *e) {
    if (access(out, F_OK) == 0)
        return err_set(e, EEXIST, "%s is there already: remove it, or give another name with --out", out);
    (void) snprintf(m->fresh, sizeof(m->fresh), "%s.%d.part", out, (int) getpid());
    m->to = open(m->fresh, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    if (m->to < 0)
        return err_sys(e, errno, "cannot make %s", m->fresh);
    int r = put_all(m, e);
    if (r == 0 && link(m->fresh, out))
        r = err_sys(e, errno, "cannot make %s", out);
    (void) unlink(m->fresh);
    if (m->tar)
        (void) archive_write_free(m->tar);
    (void) ZSTD_freeCCtx(m->zstd);
    (void) close(m->to);
    return r;
}

static void tell(struct making *m, const char *out, int json) {
    char digest[SHA256_DIGEST_STRING_LENGTH], path[PATH_MAX];
    cJSON *said = cJSON_CreateObject();
    (void) cJSON_AddStringToObject(said, "path", realpath(out, path) ? path : out);
    (void) cJSON_AddStringToObject(said, "sha256", SHA256End(&m->sha256, digest));
    (void) cJSON_AddNumberToObject(said, "size", (double) m->written);
    if (json) {
        output_json(said);
        return;
    }
    output_object(said);
    cJSON_Delete(said);
}

static int run(struct making *m, const char *name, const char *out, struct err *e) {
    cJSON *image = NULL;
    int r = client_simple("image.show", client_named(name), &image, e);
    m->image = image;
    m->from = r ? -1 : local_open(image, e);
    if (r == 0)
        r = m->from < 0 ? m->from : make(m, out, e);
    if (m->from >= 0)
        (void) close(m->from);
    cJSON_Delete(image);
    return r;
}

int command_image_bundle(const struct invocation *in) {
    struct err e = {0};
    struct progress progress;
    const char *name = options_text(in, OPT_NAME, NULL), *out = options_text(in, OPT_OUT, NULL);
    if (!name || !out) {
        (void) err_set(&e, EINVAL, "give the image with --name and the file to make with --out");
        output_error(&e);
        return EXIT_USAGE;
    }
    struct making *m = calloc(1, sizeof(*m));
    if (!m)
        return EXIT_OWN;
    progress_open(&progress, stderr, options_given(in, OPT_QUIET));
    (void) signals_open();
    m->progress = &progress;
    int r = run(m, name, out, &e);
    progress_finish(&progress, r < 0);
    if (r == 0)
        tell(m, out, options_given(in, OPT_JSON));
    free(m);
    return r < 0 ? session_failed(r, &e) : 0;
}
