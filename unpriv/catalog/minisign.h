/* Signatures in minisign's format: Ed25519 of a file's bytes ("Ed") or of their
 * BLAKE2b-512 ("ED", what minisign writes), and a second one of the first and of the
 * trusted comment. The texts may be anybody's; docs/image-catalog.md has the format. */
#ifndef BANGER_CATALOG_MINISIGN_H
#define BANGER_CATALOG_MINISIGN_H

#include "../../common/err.h"

#include <stddef.h>
#include <stdint.h>

#define MINISIGN_KEYS_MAX    32
#define MINISIGN_BYTES_MAX   4096 /* of a signature's text */
#define MINISIGN_COMMENT_MAX 1024 /* with the NUL */

struct minisign_key {
    uint64_t id;
    uint8_t bytes[32];
};

struct minisign_keys {
    struct minisign_key list[MINISIGN_KEYS_MAX];
    size_t count;
};

struct minisign_signature {
    uint64_t id;   /* of the key */
    int prehashed; /* "ED" */
    uint8_t bytes[64], global[64];
    char comment[MINISIGN_COMMENT_MAX]; /* the trusted one */
};

/* Adds the public keys of a text: one in base64 a line, "#" and "untrusted comment:"
 * lines between them, so that a minisign.pub is one. 0, or a negative errno with a
 * sentence that begins "<file>:<line>: ". */
int minisign_keys_add(struct minisign_keys *keys, const char *text, size_t size, const char *file, struct err *e);

/* Reads a signature's four lines. 0, or a negative errno with a sentence that names `file`. */
int minisign_signature_read(const char *text, size_t size, const char *file, struct minisign_signature *s,
                            struct err *e);

/* The key that made the signature, where it is one of `keys` and the trusted comment is
 * its own; else NULL with `e` filled. The file's own bytes are not looked at. */
const struct minisign_key *minisign_signer(const struct minisign_keys *keys, const struct minisign_signature *s,
                                           const char *file, struct err *e);

/* The whole check of a file that is in memory: 0 or a negative errno with a sentence. */
int minisign_check(const struct minisign_keys *keys, const struct minisign_signature *s, const void *data, size_t size,
                   const char *file, struct err *e);

#endif
