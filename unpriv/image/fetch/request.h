/* What the engine asks of one banger-fetch process, and how that answers.
 *
 * banger-fetch is a fresh exec with no arguments, an empty environment and exactly
 * these descriptors: 0 and 1 /dev/null, 2 messages (a pipe to the engine), 3 the
 * request (memfd, one JSON object of at most REQUEST_BYTES_MAX), 4 the blob cache's
 * folder, 5 a pipe that takes what was fetched, and for an image 6, a file that takes
 * its run configuration. It confines itself before it reads the request.
 *
 *   {"mode":"image", "reference":"HOST/PATH:TAG", "platform":"linux/amd64",
 *    "endpoints":[{"host":"HOST[:PORT]", "insecure":false, "username":"", "password":"", "token":""}, ...],
 *    "known":["sha256:HEX", ...], "limit":BYTES, "patience":SECONDS}
 *       the pipe gets the layers (stream.h), or nothing where the image's manifest is one of
 *       `known`. Endpoints are tried in order: mirrors, then the registry itself. `token` is an
 *       identity token (docker login's, OAuth2 refresh token). Of all the layers at most `limit` bytes.
 *   {"mode":"file", "url":"https://...", "sha256":"HEX", "insecure":false, "limit":BYTES, "patience":SECONDS}
 *       the pipe gets the file's bytes; an end of the pipe says nothing about the digest, the
 *       last line does.
 * Either may have "proxies":{"http_proxy":"", "https_proxy":"", "no_proxy":""} (proxy.h), which hold logins.
 *
 * Both with "verify":true where blobs that the cache has are to be hashed before they are believed.
 *
 * It writes JSON lines to descriptor 2:
 *   {"progress":{"bytes":N,"cached":N,"total":N,"ready":N,"layers":N}}   at most every 100 ms, and before a failure;
 *       `cached` of `bytes` came out of the cache; total 0: not known yet
 *   {"ok":true,"known":BOOL,"bytes":N,"cached":N,"layers":N,"digest":"sha256:HEX"}
 *   {"ok":false,"code":ERRNO,"error":"sentence"}              EPIPE: nobody reads the pipe any more */
#ifndef BANGER_IMAGE_FETCH_REQUEST_H
#define BANGER_IMAGE_FETCH_REQUEST_H

#include "../../../common/err.h"
#include "../reference.h"
#include "proxy.h"

#include <stddef.h>
#include <stdint.h>

#define REQUEST_BYTES_MAX (512 << 10) /* more than the engine makes of any client's request (fetcher.c) */
#define ENDPOINTS_MAX     8
#define KNOWN_MAX         128
#define SECRET_MAX        8192 /* bytes of a password or token, with the NUL */
#define URL_MAX_BYTES     4096

struct endpoint {
    char host[REFERENCE_HOST_MAX];
    int insecure; /* plain http, and https that nobody vouches for */
    char username[256], password[SECRET_MAX], token[SECRET_MAX];
    /* found out on the way: */
    int decided, plain;  /* which of https and http it speaks */
    char *authorization; /* whole header, or NULL */
};

struct fetch_request {
    int is_file;
    struct reference reference;
    struct platform platform;
    struct endpoint endpoints[ENDPOINTS_MAX]; /* of a file: one, made from the URL */
    size_t endpoint_count;
    struct proxies proxies;
    char known[KNOWN_MAX][DIGEST_TEXT_MAX]; /* manifests of images that are here */
    size_t known_count;
    char url[URL_MAX_BYTES], digest[DIGEST_TEXT_MAX]; /* of a file */
    int64_t limit;
    int patience; /* seconds without progress until an attempt is given up */
    int verify;   /* no blob of the cache is believed unhashed */
};

/* Reads the request's text. 0 or a negative errno. */
int request_parse(const char *text, size_t size, struct fetch_request *out, struct err *e);

#endif
