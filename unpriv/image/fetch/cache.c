#include "cache.h"

#include "../../../common/cleanup.h"
#include "../../../common/io.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#define CHUNK          ((size_t) 256 << 10)
#define NAME_MAX_BYTES (DIGEST_TEXT_MAX + 32)

/* --- digests ------------------------------------------------------------------------ */

static void to_text(const unsigned char *raw, char out[DIGEST_TEXT_MAX]) {
    (void) snprintf(out, DIGEST_TEXT_MAX, "sha256:");
    for (size_t i = 0; i < 32; i++)
        (void) snprintf(out + 7 + 2 * i, 3, "%02x", raw[i]);
}

void cache_finish(EVP_MD_CTX **sha, char out[DIGEST_TEXT_MAX]) {
    unsigned char raw[EVP_MAX_MD_SIZE] = {0};
    if (EVP_DigestFinal_ex(*sha, raw, NULL))
        to_text(raw, out);
    else
        out[0] = '\0';
    EVP_MD_CTX_free(*sha);
    *sha = NULL;
}

static EVP_MD_CTX *begin(void) {
    EVP_MD_CTX *sha = EVP_MD_CTX_new();
    if (sha && EVP_DigestInit_ex(sha, EVP_sha256(), NULL))
        return sha;
    EVP_MD_CTX_free(sha);
    return NULL;
}

void cache_digest(const void *data, size_t size, char out[DIGEST_TEXT_MAX]) {
    EVP_MD_CTX *sha = begin();
    out[0] = '\0';
    if (sha && EVP_DigestUpdate(sha, data, size))
        cache_finish(&sha, out);
    EVP_MD_CTX_free(sha);
}

EVP_MD_CTX *cache_hash(int fd, int64_t size) {
    EVP_MD_CTX *sha = begin();
    char *chunk = malloc(CHUNK);
    for (int64_t at = 0; sha && at < size;) {
        const size_t want = size - at < (int64_t) CHUNK ? (size_t) (size - at) : CHUNK;
        ssize_t n = chunk ? pread(fd, chunk, want, at) : 0;
        if (n <= 0 || !EVP_DigestUpdate(sha, chunk, (size_t) n)) {
            EVP_MD_CTX_free(sha);
            sha = NULL;
        }
        at += n;
    }
    free(chunk);
    return sha;
}

/* --- files -------------------------------------------------------------------------- */

static const char *hex(const char *digest) {
    return digest + strlen("sha256:");
}

static const char *part(const char *digest, char out[NAME_MAX_BYTES]) {
    (void) snprintf(out, NAME_MAX_BYTES, "%s.part", hex(digest));
    return out;
}

int cache_open(int store, const char *digest, int64_t size) {
    struct stat st;
    int fd = openat(store, hex(digest), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && (size < 0 || st.st_size == size))
        return fd;
    (void) close(fd);
    (void) unlinkat(store, hex(digest), 0);
    return -ENOENT;
}

int cache_read(int store, const char *digest, struct document *out) {
    struct stat st;
    char found[DIGEST_TEXT_MAX];
    cleanup_fd int fd = cache_open(store, digest, -1);
    if (fd < 0 || fstat(fd, &st) || st.st_size > (off_t) out->limit)
        return -ENOENT;
    const size_t size = (size_t) st.st_size;
    char *text = malloc(size + 1);
    if (!text)
        return -ENOENT;
    if (io_read(fd, text, size) == 0) {
        text[size] = '\0';
        cache_digest(text, size, found);
        if (strcmp(found, digest) == 0) {
            out->text = text;
            out->size = size;
            return 0;
        }
        (void) unlinkat(store, hex(digest), 0);
    }
    free(text);
    return -ENOENT;
}

/* Whoever finished the blob renamed the file that we waited for: then the lock is of no use. */
static int is_current(int store, const char *name, int fd) {
    struct stat here, there;
    return fstat(fd, &here) == 0 && fstatat(store, name, &there, AT_SYMLINK_NOFOLLOW) == 0 &&
           here.st_ino == there.st_ino && here.st_dev == there.st_dev && S_ISREG(here.st_mode);
}

int cache_open_part(int store, const char *digest) {
    char name[NAME_MAX_BYTES];
    cleanup_fd int fd = openat(store, part(digest, name), O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return -errno;
    if (flock(fd, LOCK_EX | LOCK_NB))
        return errno == EWOULDBLOCK ? -EWOULDBLOCK : -errno;
    if (!is_current(store, name, fd))
        return -EWOULDBLOCK; /* and the next look will tell */
    if (faccessat(store, hex(digest), F_OK, AT_SYMLINK_NOFOLLOW) == 0) {
        (void) unlinkat(store, name, 0);
        return -EEXIST;
    }
    return take_fd(&fd);
}

int cache_commit(int store, const char *digest) {
    char name[NAME_MAX_BYTES];
    return renameat(store, part(digest, name), store, hex(digest)) ? -errno : 0;
}

void cache_remove_part(int store, const char *digest) {
    char name[NAME_MAX_BYTES];
    (void) unlinkat(store, part(digest, name), 0);
}

int64_t cache_part_size(int store, const char *digest) {
    char name[NAME_MAX_BYTES];
    struct stat st;
    return fstatat(store, part(digest, name), &st, AT_SYMLINK_NOFOLLOW) ? -1 : st.st_size;
}

int cache_remove_damaged(int store, const char *digest) {
    struct stat st;
    char found[DIGEST_TEXT_MAX] = "";
    cleanup_fd int fd = cache_open(store, digest, -1);
    if (fd < 0 || fstat(fd, &st))
        return 0;
    EVP_MD_CTX *sha = cache_hash(fd, st.st_size);
    if (sha)
        cache_finish(&sha, found);
    return strcmp(found, digest) != 0 && unlinkat(store, hex(digest), 0) == 0;
}

void cache_write(int store, const char *digest, const void *data, size_t size) {
    (void) cache_remove_damaged(store, digest);
    cleanup_fd int fd = cache_open_part(store, digest);
    if (fd >= 0 && (ftruncate(fd, 0) || io_write(fd, data, size) || cache_commit(store, digest)))
        cache_remove_part(store, digest);
}
