/* Image references of registries: [HOST[:PORT]/]PATH[:TAG][@sha256:HEX], as docker and
 * the OCI distribution specification write them. Pure: no heap, no network. */
#ifndef BANGER_IMAGE_REFERENCE_H
#define BANGER_IMAGE_REFERENCE_H

#include "../../common/err.h"

#define REFERENCE_HOST_MAX 128 /* with the NUL, as all below */
#define REFERENCE_PATH_MAX 256
#define REFERENCE_TAG_MAX  129
#define REFERENCE_TEXT_MAX 640
#define DIGEST_TEXT_MAX    72 /* "sha256:" and 64 small hex digits */

struct reference {
    char host[REFERENCE_HOST_MAX]; /* with the port where one is given; small letters */
    char path[REFERENCE_PATH_MAX];
    char tag[REFERENCE_TAG_MAX];  /* "" where a digest stands for itself */
    char digest[DIGEST_TEXT_MAX]; /* "" without */
};

/* Reads `text`. A first part without '.' or ':' that is not localhost is no host: the
 * reference is then docker.io's, a path of one part below "library/". A missing tag is
 * "latest" where there is no digest. 0, or -EINVAL with a sentence. */
int reference_parse(const char *text, struct reference *out, struct err *e);

/* The whole form, which says host, path, and tag or digest or both; returns `out`. */
const char *reference_text(const struct reference *ref, char out[REFERENCE_TEXT_MAX]);

/* Whether `text` must mean a registry's image and not a name: it has a '/', ':' or '@' and parses. */
int reference_is_one(const char *text);

/* "sha256:" and 64 small hex digits? */
int reference_is_digest(const char *text);

/* The host or "host:port" is this machine's own loopback: localhost, 127.x.y.z or [::1]. */
int reference_is_loopback(const char *host);

/* "host", "host:port", "1.2.3.4:5000" or "[v6]:port", with small letters? */
int reference_is_host(const char *text);

/* The machine that serves a host's images: docker.io's are elsewhere. */
const char *reference_server(const char *host);

struct platform {
    char os[16];
    char architecture[24];
    char variant[16]; /* "" : any */
};

/* "linux/arm64/v8", "linux/amd64" or "amd64"; "" is what this machine runs. 0, or -EINVAL with a sentence. */
int platform_parse(const char *text, struct platform *out, struct err *e);

#endif
