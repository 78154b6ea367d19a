/* The blob cache: sha256/<hex>, each file whole and under its digest; sha256/<hex>.part while
 * it comes, flock'ed by whoever gets it. Shared by all pulls of the account. */
#ifndef BANGER_IMAGE_FETCH_CACHE_H
#define BANGER_IMAGE_FETCH_CACHE_H

#include "transfer.h"

#include <openssl/evp.h>

/* "sha256:<hex>" of the bytes. */
void cache_digest(const void *data, size_t size, char out[DIGEST_TEXT_MAX]);
/* The same of a hash under way, which is freed. */
void cache_finish(EVP_MD_CTX **sha, char out[DIGEST_TEXT_MAX]);

/* The whole small blob, its digest checked: 0, or -ENOENT where there is none that is right. */
int cache_read(int store, const char *digest, struct document *out);
/* Keeps one whose digest was checked. What fails is no loss. */
void cache_write(int store, const char *digest, const void *data, size_t size);

/* The finished blob, to read: a descriptor or a negative errno. One of another size is removed
 * (`size` < 0: any is right). */
int cache_open(int store, const char *digest, int64_t size);

/* <hex>.part, made where it is missing, to read and write, with its lock: a descriptor, or
 * -EWOULDBLOCK while another pull has it, -EEXIST when the blob is finished meanwhile. */
int cache_open_part(int store, const char *digest);
/* The part becomes the blob: 0 or a negative errno. */
int cache_commit(int store, const char *digest);
void cache_remove_part(int store, const char *digest);
/* Bytes in another pull's part, to see that it gets on; -1 without. */
int64_t cache_part_size(int store, const char *digest);

/* Hashes the file's first `size` bytes. NULL when they cannot be read. */
EVP_MD_CTX *cache_hash(int fd, int64_t size);
/* Removes the blob when its bytes are not what its name says: 1 when it was. */
int cache_remove_damaged(int store, const char *digest);

#endif
