/* From a tree and a volume to an ext4 file system. Folders, extent trees and
 * inodes are written here in large pieces (layouts: kernel.org's ext4 disk layout
 * pages, ext4_fs.h of libext2fs); superblock, descriptors, bitmaps, journal,
 * resize inode and extended attributes are libext2fs's. */
#ifndef BANGER_IMAGE_IMPORT_EXT4_H
#define BANGER_IMAGE_IMPORT_EXT4_H

#include "tree.h"
#include "volume.h"

#define EXT4_SIZE_LEAST  ((uint64_t) 32 << 20)
#define EXT4_INODE_BYTES 256u
#define EXT4_FIRST_FREE  12u /* inode numbers below are reserved, lost+found (11) included */

struct ext4_options {
    uint8_t uuid[16];
    uint32_t hash_seed[4];
    const char *label; /* up to 16 bytes */
    uint64_t size;     /* bytes, 0 = content x 1.5, at least 1 GiB */
};

/* What the two kinds of disk are made with. Constant: the same input gives the same bytes. */
extern const struct ext4_options ext4_rootfs, ext4_work;

struct ext4 {
    struct tree *tree;
    struct volume *volume;
    const struct ext4_options *options;
    uint32_t seed;       /* of all checksums: crc32c of the uuid */
    uint32_t inodes;     /* highest number in use */
    uint32_t lost_found; /* its inode in the tree */
    uint32_t groups;
    uint64_t blocks; /* of the file system */
    uint32_t group_inodes;
    uint32_t table_blocks; /* of one group's inode table */
    uint32_t first_inode;  /* of the tree, as a number's index: see `order` */
    uint32_t *order;       /* inode number - EXT4_FIRST_FREE -> inode of the tree */
    uint32_t *tables;      /* first block of each group's inode table */
    uint32_t *bitmaps;     /* first block of each group's two bitmaps */
    uint32_t *folders;     /* count in each group */
};

/* Finishes the image: after it the file is `*size` bytes and clean under e2fsck.
 * `*used` is bytes of content. Data held in the volume is flushed; nothing is
 * synced. 0 or a negative errno with `e` filled. */
int ext4_finish(struct tree *t, struct volume *v, const struct ext4_options *options, uint64_t *size, uint64_t *used,
                struct err *e);

/* The steps of it, by file. ext4_folders.c: blocks of all folders and long links. */
int ext4_write_folders(struct ext4 *x, struct err *e);
/* ext4_inodes.c: extent trees of more than 4 extents; then the inode tables. */
int ext4_write_extents(struct ext4 *x, struct err *e);
int ext4_write_inodes(struct ext4 *x, struct err *e);
/* ext4_library.c: the rest, through libext2fs. */
int ext4_write_rest(struct ext4 *x, struct err *e);
/* ext4_io.c: how libext2fs reads and writes the image; a device's name is the descriptor's number. */
struct struct_io_manager *ext4_io_manager(void);

/* Checksum seed of an inode's blocks (generation 0). */
uint32_t ext4_inode_seed(const struct ext4 *x, uint32_t number);
/* crc32c, little endian, as ext4 uses it (no final inversion). */
uint32_t ext4_crc(uint32_t seed, const void *data, size_t size);

#endif
