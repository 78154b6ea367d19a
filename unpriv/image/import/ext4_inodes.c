#include "ext4.h"

#include <errno.h>
#include <ext2fs/ext2fs.h>
#include <isa-l/crc.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define ROOT_EXTENTS 4u   /* in an inode */
#define NODE_EXTENTS 340u /* in a block: header 12, 12 each, checksum 4 */
#define WRITE_INODES 512u
#define TIME_MAX     0x37fffffffll /* 34 bits from 1901 (ext4.h, EXT4_EPOCH_BITS) */

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "structures are written as they lie in memory");
_Static_assert(sizeof(struct ext2_inode_large) <= EXT4_INODE_BYTES, "an inode fits its place");

uint32_t ext4_crc(uint32_t seed, const void *data, size_t size) {
    return crc32_iscsi((unsigned char *) (uintptr_t) data, (int) size, seed);
}

uint32_t ext4_inode_seed(const struct ext4 *x, uint32_t number) {
    const uint32_t words[2] = {number, 0};
    return ext4_crc(x->seed, words, sizeof(words));
}

/* Header and entries of one extent node, at depth 0 extents, above it pointers to nodes. */
static void put_extents(void *at, uint32_t max, uint16_t depth, const struct extent *list, uint32_t count) {
    struct ext3_extent_header *header = at;
    *header = (struct ext3_extent_header){
        .eh_magic = EXT3_EXT_MAGIC,
        .eh_entries = (uint16_t) count,
        .eh_max = (uint16_t) max,
        .eh_depth = depth,
    };
    struct ext3_extent *leaf = (struct ext3_extent *) (header + 1);
    struct ext3_extent_idx *index = (struct ext3_extent_idx *) (header + 1);
    for (uint32_t i = 0; i < count; i++) {
        if (depth)
            index[i] = (struct ext3_extent_idx){.ei_block = list[i].logical, .ei_leaf = list[i].physical};
        else
            leaf[i] = (struct ext3_extent){
                .ee_block = list[i].logical, .ee_len = (uint16_t) list[i].length, .ee_start = list[i].physical};
    }
}

/* Puts one more level over the extents of an inode. */
static int raise_extents(struct ext4 *x, struct tree_inode *inode, struct err *e) {
    uint32_t seed = ext4_inode_seed(x, inode->number), above = x->volume->extent_count, made = 0;
    for (uint32_t i = 0; i < inode->extents; i += NODE_EXTENTS) {
        uint32_t block[BLOCK_SIZE / 4] = {0};
        const struct extent *first = &x->volume->extents[inode->extent + i];
        uint32_t count = inode->extents - i < NODE_EXTENTS ? inode->extents - i : NODE_EXTENTS;
        put_extents(block, NODE_EXTENTS, inode->depth, first, count);
        block[BLOCK_SIZE / 4 - 1] = ext4_crc(seed, block, BLOCK_SIZE - 4);
        struct extent node = {.logical = first->logical};
        int r = volume_put(x->volume, block, &node.physical, e);
        if (r == 0)
            r = volume_note(x->volume, &node, e);
        if (r)
            return r;
        made++;
    }
    inode->extent = above;
    inode->extents = made;
    inode->blocks += made;
    inode->depth++;
    return 0;
}

int ext4_write_extents(struct ext4 *x, struct err *e) {
    int r = 0;
    for (uint32_t i = TREE_ROOT; i < x->tree->inode_count && r == 0; i++) {
        struct tree_inode *inode = &x->tree->inodes[i];
        while (inode->links && inode->extents > ROOT_EXTENTS && r == 0)
            r = raise_extents(x, inode, e);
    }
    return r;
}

static void put_time(uint32_t *low, uint32_t *extra, int64_t seconds, uint32_t nanoseconds) {
    if (seconds < INT32_MIN)
        seconds = INT32_MIN;
    if (seconds > TIME_MAX)
        seconds = TIME_MAX;
    *low = (uint32_t) seconds;
    *extra = (uint32_t) ((uint64_t) (seconds - (int32_t) *low) >> 32) | (nanoseconds % 1000000000u) << EXT4_EPOCH_BITS;
}

/* Device numbers: the old 16-bit form where it fits, else the new one (include/linux/kdev_t.h). */
static void put_device(uint32_t *block, uint32_t major, uint32_t minor) {
    if (major < 256 && minor < 256)
        block[0] = major << 8 | minor;
    else
        block[1] = (minor & 0xff) | major << 8 | (minor & ~0xffu) << 12;
}

static void put_content(const struct ext4 *x, struct ext2_inode_large *out, const struct tree_inode *inode) {
    if (S_ISCHR(inode->mode) || S_ISBLK(inode->mode)) {
        put_device(out->i_block, inode->major, inode->minor);
    } else if (S_ISLNK(inode->mode) && inode->extents == 0) {
        memcpy(out->i_block, x->tree->blob + inode->target, inode->size);
    } else if (S_ISREG(inode->mode) || S_ISDIR(inode->mode) || S_ISLNK(inode->mode)) {
        out->i_flags |= EXT4_EXTENTS_FL;
        put_extents(out->i_block, ROOT_EXTENTS, inode->depth, x->volume->extents + inode->extent, inode->extents);
    }
    if (S_ISDIR(inode->mode) && inode->size > BLOCK_SIZE)
        out->i_flags |= EXT2_INDEX_FL;
}

static void put_inode(const struct ext4 *x, struct ext2_inode_large *out, const struct tree_inode *inode) {
    out->i_mode = inode->mode;
    out->i_uid = (uint16_t) inode->uid;
    out->i_uid_high = (uint16_t) (inode->uid >> 16);
    out->i_gid = (uint16_t) inode->gid;
    out->i_gid_high = (uint16_t) (inode->gid >> 16);
    if (S_ISREG(inode->mode) || S_ISDIR(inode->mode) || S_ISLNK(inode->mode)) {
        out->i_size = (uint32_t) inode->size;
        out->i_size_high = (uint32_t) (inode->size >> 32);
    }
    out->i_links_count = (uint16_t) (inode->links > EXT2_LINK_MAX ? 1 : inode->links); /* dir_nlink */
    uint64_t sectors = (uint64_t) inode->blocks * (BLOCK_SIZE / 512);
    out->i_blocks = (uint32_t) sectors;
    out->osd2.linux2.l_i_blocks_hi = (uint16_t) (sectors >> 32);
    out->i_extra_isize = sizeof(*out) - EXT2_GOOD_OLD_INODE_SIZE;
    put_time(&out->i_mtime, &out->i_mtime_extra, inode->mtime, inode->mtime_ns);
    out->i_atime = out->i_ctime = out->i_crtime = out->i_mtime;
    out->i_atime_extra = out->i_ctime_extra = out->i_crtime_extra = out->i_mtime_extra;
    put_content(x, out, inode);
    uint32_t crc = ext4_crc(ext4_inode_seed(x, inode->number), out, EXT4_INODE_BYTES);
    out->i_checksum_lo = (uint16_t) crc;
    out->i_checksum_hi = (uint16_t) (crc >> 16);
}

static const struct tree_inode *inode_of(const struct ext4 *x, uint32_t number) {
    if (number == EXT2_ROOT_INO)
        return &x->tree->inodes[TREE_ROOT];
    if (number == EXT4_FIRST_FREE - 1)
        return &x->tree->inodes[x->lost_found];
    return number < EXT4_FIRST_FREE ? NULL : &x->tree->inodes[x->order[number - EXT4_FIRST_FREE]];
}

int ext4_write_inodes(struct ext4 *x, struct err *e) {
    uint8_t *buffer = malloc((size_t) WRITE_INODES * EXT4_INODE_BYTES);
    if (!buffer)
        return err_set(e, ENOMEM, "There is not enough memory for inodes; free some and try again");
    int r = 0;
    for (uint32_t number = 1; number <= x->inodes && r == 0;) {
        uint32_t group = (number - 1) / x->group_inodes, within = (number - 1) % x->group_inodes, count = 0;
        memset(buffer, 0, (size_t) WRITE_INODES * EXT4_INODE_BYTES);
        while (count < WRITE_INODES && within + count < x->group_inodes && number <= x->inodes) {
            const struct tree_inode *inode = inode_of(x, number++);
            if (inode)
                put_inode(x, (void *) (buffer + (size_t) count * EXT4_INODE_BYTES), inode);
            count++;
        }
        uint64_t place = (uint64_t) x->tables[group] * BLOCK_SIZE + (uint64_t) within * EXT4_INODE_BYTES;
        r = volume_pwrite(x->volume->fd, buffer, (size_t) count * EXT4_INODE_BYTES, place, e);
    }
    free(buffer);
    return r;
}
