/* SHA-256 as OpenSSL computes it with this CPU's instructions, without its providers and configuration files. */
#ifndef BANGER_IMAGE_IMPORT_SHA256_H
#define BANGER_IMAGE_IMPORT_SHA256_H

#define OPENSSL_SUPPRESS_DEPRECATED
#include <openssl/sha.h>

#endif
