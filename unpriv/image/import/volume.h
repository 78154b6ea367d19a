/* Where the bytes of the image go: an allocator that only moves forward, one
 * large write at a time, and the extents of every file. It steps over the blocks
 * that ext4 wants for its superblock and group descriptors, at places that do not
 * depend on the size, so files can be written before the size is known. */
#ifndef BANGER_IMAGE_IMPORT_VOLUME_H
#define BANGER_IMAGE_IMPORT_VOLUME_H

#include "../../../common/err.h"

#include <stddef.h>
#include <stdint.h>

#define BLOCK_SIZE         4096u
#define GROUP_BLOCKS       32768u     /* 8 x BLOCK_SIZE: one block of bitmap */
#define DESCRIPTOR_BLOCKS  128u       /* kept for group descriptors in every group with a copy: up to 1 TiB */
#define VOLUME_BLOCKS_MAX  (1u << 28) /* 1 TiB */
#define VOLUME_EXTENTS_MAX (2u << 20) /* in all files together: 24 MiB of memory */
#define VOLUME_FILE_MAX    (((uint64_t) 1 << 44) - BLOCK_SIZE) /* ext4 with 4 KiB blocks: logical blocks are 32-bit */
#define EXTENT_LENGTH_MAX  32768u

struct extent {
    uint32_t logical, physical, length; /* blocks */
};

struct volume {
    int fd;
    uint64_t size;  /* bytes of the file system, 0 = as large as it gets */
    uint64_t limit; /* most bytes of content */
    uint64_t used;  /* blocks handed out and still in use */
    uint32_t next;  /* first block never handed out */
    uint32_t start; /* block of the first byte in the buffer */
    uint32_t held;  /* blocks in the buffer */
    uint8_t *buffer;
    struct extent *extents;
    uint32_t extent_count, extent_room;
    struct extent *holes; /* freed again: logical is not used */
    uint32_t hole_count, hole_room;
    uint32_t file;    /* first extent of the file being written */
    uint32_t logical; /* its next block */
    uint32_t zeros;   /* blocks of zeros before it that are not written yet */
    uint32_t partial; /* bytes in `block` */
    uint8_t block[BLOCK_SIZE];
};

/* `fd`: an empty regular file, not taken over. Free with volume_free() also after an error. */
int volume_init(struct volume *v, int fd, uint64_t size, uint64_t limit, struct err *e);
void volume_free(struct volume *v);

/* One file at a time. `offset` must not go back; what lies between is a hole, and
 * so are longer runs of zeros. volume_end() pads to `size` and hands back the extents. */
void volume_begin(struct volume *v);
int volume_write(struct volume *v, uint64_t offset, const void *data, size_t size, struct err *e);
int volume_end(struct volume *v, uint64_t size, uint32_t *extent, uint32_t *extents, uint32_t *blocks, struct err *e);

/* One block of metadata, and where it went. */
int volume_put(struct volume *v, const void *block, uint32_t *physical, struct err *e);
/* An extent that belongs to no file's data (an index), at the end of the list. */
int volume_note(struct volume *v, const struct extent *extent, struct err *e);
/* A run of blocks that is not written through the buffer. */
int volume_reserve(struct volume *v, uint32_t blocks, uint32_t *physical, struct err *e);
/* Gives a removed file's blocks back. */
int volume_release(struct volume *v, uint32_t extent, uint32_t extents, struct err *e);

/* Writes what is held. */
int volume_flush(struct volume *v, struct err *e);
/* Makes what was released a hole in the image's file as well: nobody shall read what was removed. */
void volume_punch(const struct volume *v);

/* Whether the group begins with a copy of the superblock and the descriptors (sparse_super). */
int volume_group_has_copy(uint32_t group);

/* pwrite of everything, with the sentence for a full disk. */
int volume_pwrite(int fd, const void *data, size_t size, uint64_t offset, struct err *e);

#endif
