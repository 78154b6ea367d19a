#include "minisign.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#define UNTRUSTED "untrusted comment:"
#define TRUSTED   "trusted comment: "

/* Before the key or the signature itself. */
struct head {
    uint8_t algorithm[2];
    uint8_t id[8]; /* little endian */
};

struct key_blob {
    struct head head;
    uint8_t bytes[32];
};

struct signature_blob {
    struct head head;
    uint8_t bytes[64];
};
_Static_assert(sizeof(struct key_blob) == 42 && sizeof(struct signature_blob) == 74, "no padding");

static uint64_t id_of(const struct head *head) {
    uint64_t id = 0;
    for (size_t i = sizeof(head->id); i-- > 0;)
        id = id << 8 | head->id[i];
    return id;
}

/* The next line, without its end ("\n" or "\r\n"), and past it. 0 at the end of the text. */
static int next_line(const char **at, const char *end, const char **line, size_t *size) {
    if (*at >= end)
        return 0;
    const char *stop = memchr(*at, '\n', (size_t) (end - *at));
    *line = *at;
    *size = (size_t) ((stop ? stop : end) - *at);
    *at = stop ? stop + 1 : end;
    if (*size > 0 && (*line)[*size - 1] == '\r')
        --*size;
    return 1;
}

static int begins(const char *line, size_t size, const char *word) {
    size_t length = strlen(word);
    return size >= length && memcmp(line, word, length) == 0;
}

/* Exactly `size` bytes in base64. */
static int decode(const char *line, size_t length, void *out, size_t size) {
    size_t got = 0;
    return sodium_base642bin(out, size, line, length, NULL, &got, NULL, sodium_base64_VARIANT_ORIGINAL) == 0 &&
           got == size;
}

/* --- public keys ----------------------------------------------------------------- */

static int add_key(struct minisign_keys *keys, const char *line, size_t size, struct err *e) {
    struct key_blob blob;
    if (!decode(line, size, &blob, sizeof(blob)) || memcmp(blob.head.algorithm, "Ed", 2) != 0)
        return err_set(e, EINVAL, "this is no public key of minisign: put in the last line of a minisign.pub");
    if (keys->count == MINISIGN_KEYS_MAX)
        return err_set(e, E2BIG, "more than %d keys are trusted: take some out", MINISIGN_KEYS_MAX);
    struct minisign_key *key = &keys->list[keys->count++];
    key->id = id_of(&blob.head);
    memcpy(key->bytes, blob.bytes, sizeof(key->bytes));
    return 0;
}

int minisign_keys_add(struct minisign_keys *keys, const char *text, size_t size, const char *file, struct err *e) {
    const char *at = text, *line = NULL;
    size_t length = 0;
    for (unsigned number = 1; next_line(&at, text + size, &line, &length); number++) {
        if (length == 0 || line[0] == '#' || begins(line, length, UNTRUSTED))
            continue;
        if (add_key(keys, line, length, e))
            return err_prefix(e, "%s:%u", file, number);
    }
    return 0;
}

/* --- signatures ------------------------------------------------------------------ */

static int bad_signature(const char *file, const char *why, struct err *e) {
    return err_set(e, EINVAL, "the signature %s is not one of minisign's (%s): sign again with `minisign -Sm`", file,
                   why);
}

static int read_comment(const char *line, size_t size, struct minisign_signature *s) {
    size_t skip = strlen(TRUSTED);
    if (!begins(line, size, TRUSTED) || size - skip >= sizeof(s->comment) || memchr(line, '\0', size))
        return 0;
    memcpy(s->comment, line + skip, size - skip);
    s->comment[size - skip] = '\0';
    return 1;
}

int minisign_signature_read(const char *text, size_t size, const char *file, struct minisign_signature *s,
                            struct err *e) {
    const char *at = text, *line[4] = {NULL}, *more = NULL;
    size_t length[4] = {0}, rest = 0;
    struct signature_blob blob;
    memset(s, 0, sizeof(*s));
    for (size_t i = 0; i < 4; i++) {
        if (!next_line(&at, text + size, &line[i], &length[i]))
            return bad_signature(file, "it has less than four lines", e);
    }
    if (next_line(&at, text + size, &more, &rest))
        return bad_signature(file, "it has more than four lines", e);
    if (!begins(line[0], length[0], UNTRUSTED))
        return bad_signature(file, "no untrusted comment in line 1", e);
    if (!decode(line[1], length[1], &blob, sizeof(blob)))
        return bad_signature(file, "line 2", e);
    s->prehashed = memcmp(blob.head.algorithm, "ED", 2) == 0;
    if (!s->prehashed && memcmp(blob.head.algorithm, "Ed", 2) != 0)
        return bad_signature(file, "an unknown algorithm", e);
    if (!read_comment(line[2], length[2], s))
        return bad_signature(file, "no trusted comment in line 3", e);
    if (!decode(line[3], length[3], s->global, sizeof(s->global)))
        return bad_signature(file, "line 4", e);
    s->id = id_of(&blob.head);
    memcpy(s->bytes, blob.bytes, sizeof(s->bytes));
    return 0;
}

/* --- checks ------------------------------------------------------------------------ */

static int wrong(const char *file, struct err *e) {
    return err_set(e, EBADMSG, "the signature of %s is wrong: it was changed after it was signed; get it again", file);
}

const struct minisign_key *minisign_signer(const struct minisign_keys *keys, const struct minisign_signature *s,
                                           const char *file, struct err *e) {
    uint8_t message[sizeof(s->bytes) + MINISIGN_COMMENT_MAX];
    size_t size = sizeof(s->bytes) + strlen(s->comment);
    int known = 0;
    memcpy(message, s->bytes, sizeof(s->bytes));
    memcpy(message + sizeof(s->bytes), s->comment, size - sizeof(s->bytes));
    for (size_t i = 0; i < keys->count; i++) { /* an id is not unique: anybody can choose one */
        if (keys->list[i].id != s->id)
            continue;
        known = 1;
        if (crypto_sign_verify_detached(s->global, message, size, keys->list[i].bytes) == 0)
            return &keys->list[i];
    }
    if (known)
        (void) wrong(file, e);
    else
        (void) err_set(e, ENOKEY,
                       "%s is signed with the key %016llX, which is not trusted here: add its public key to "
                       "trusted-keys in ~/.config/banger or /etc/banger",
                       file, (unsigned long long) s->id);
    return NULL;
}

int minisign_check(const struct minisign_keys *keys, const struct minisign_signature *s, const void *data, size_t size,
                   const char *file, struct err *e) {
    uint8_t hash[crypto_generichash_BYTES_MAX];
    const struct minisign_key *key = minisign_signer(keys, s, file, e);
    if (!key)
        return -e->code;
    if (s->prehashed) {
        (void) crypto_generichash(hash, sizeof(hash), data, size, NULL, 0);
        data = hash;
        size = sizeof(hash);
    }
    return crypto_sign_verify_detached(s->bytes, data, size, key->bytes) == 0 ? 0 : wrong(file, e);
}
