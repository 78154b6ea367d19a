/* What the engine asks of one banger-import process, and how that answers.
 *
 * banger-import is a fresh exec with no arguments, an empty environment and
 * exactly these descriptors: 0 and 1 /dev/null, 2 messages (a pipe to the
 * engine), 3 the plan (memfd, struct import_plan), then the mode's inputs and
 * outputs. It confines itself (Landlock: nothing; seccomp) before it reads a byte
 * of input, opens nothing, and writes JSON lines to descriptor 2:
 *     {"progress":{"bytes":N,"entries":N}}          at most every 100 ms
 *     {"ok":true, ...}                               last line on success; members below
 *     {"ok":false,"code":ERRNO,"error":"sentence"}   last line on failure
 * An end of the pipe without a last line means the process was killed.
 *
 * Success members: bytes (of input), entries, size (of the ext4, bytes), used
 * (bytes of content); for a kernel: release (string). */
#ifndef BANGER_IMAGE_PLAN_H
#define BANGER_IMAGE_PLAN_H

#include <stdint.h>

#define IMPORT_PLAN_MAGIC 0x42474950u

enum import_mode {
    IMPORT_ROOTFS = 1, /* in: 4 tar stream; out: 5 ext4 image */
    IMPORT_WORK = 2,   /* in: 4 base image (its /root is copied), 6 tar stream laid over it; out: 5 ext4 image */
    IMPORT_KERNEL =
        3, /* in: 4 .deb package, tar of a folder, bzImage or vmlinux, 5 banger-agent; out: 6 vmlinux, 7 initrd */
    IMPORT_LAYERS = 4, /* in: 4 layers (stream.h); out: 5 ext4 image */
    IMPORT_LOAD = 5,   /* in: 4 OCI archive, docker-save archive or OCI layout folder; out: 5 ext4 image, 6 config, 7 an
                          empty file without a name for what an archive packed as a whole unpacks to */
    IMPORT_BUNDLE = 6, /* in: 4 bundle (tar.zst); out: 5 ext4 image, 6 config */
    IMPORT_COPY =
        7, /* in: 4 ext4 image whose files are written anew, 6 work disk that is its /root; out: 5 ext4 image */
};

/* What a bundle must be: its SHA-256, and an Ed25519 signature of its BLAKE2b-512 by that key. */
struct import_pin {
    uint8_t sha256[32], key[32], signature[64];
};

struct import_plan {
    uint32_t magic;
    uint32_t mode;  /* enum import_mode */
    uint64_t size;  /* ext4 size in bytes; 0 = content x 1.5, at least 1 GiB (ROOTFS); BUNDLE: bytes of the bundle */
    uint64_t limit; /* most bytes of input and of content; 0 = 64 GiB */
    uint32_t flags; /* IMPORT_HAS_TAR for WORK, IMPORT_HAS_WORK for COPY */
    uint32_t reserved;
    char tag[256];         /* LOAD: which image, "" = the only one */
    char platform[64];     /* LOAD: "os/arch" or "os/arch/variant", "" = this machine's */
    struct import_pin pin; /* BUNDLE */
};
#define IMPORT_HAS_TAR  1u
#define IMPORT_HAS_WORK 2u

#endif
