/* For fuzz targets that make images: libext2fs reads the whole of one, and nothing may be amiss. */
#ifndef BANGER_FUZZ_IMAGE_CHECK_H
#define BANGER_FUZZ_IMAGE_CHECK_H

#include <ext2fs/ext2fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct image_seen {
    ext2_filsys fs;
    uint32_t *names; /* of each inode */
};

static int image_on_name(ext2_ino_t folder, int kind, struct ext2_dir_entry *entry, int offset, int block, char *buffer,
                         void *context) {
    struct image_seen *seen = context;
    (void) folder;
    (void) kind;
    (void) offset;
    (void) block;
    (void) buffer;
    if (entry->inode == 0 || entry->inode > seen->fs->super->s_inodes_count)
        abort();
    seen->names[entry->inode]++;
    return 0;
}

static int image_on_block(ext2_filsys fs, blk64_t *block, e2_blkcnt_t logical, blk64_t ref, int offset, void *context) {
    (void) logical;
    (void) ref;
    (void) offset;
    ext2fs_block_bitmap used = context;
    if (*block >= ext2fs_blocks_count(fs->super) || !ext2fs_test_block_bitmap2(fs->block_map, *block) ||
        ext2fs_mark_block_bitmap2(used, *block))
        abort(); /* outside, not marked as used, or two files' */
    return 0;
}

/* Names of each inode are as many as its links, blocks are used once, and every checksum is right. */
static void image_read_again(int fd) {
    char name[64];
    struct image_seen seen = {0};
    ext2fs_block_bitmap used = NULL;
    ext2_inode_scan scan = NULL;
    ext2_ino_t number = 0;
    struct ext2_inode inode;
    (void) snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
    if (ext2fs_open(name, EXT2_FLAG_64BITS, 0, 0, unix_io_manager, &seen.fs) || ext2fs_read_bitmaps(seen.fs) ||
        ext2fs_allocate_block_bitmap(seen.fs, "used", &used) || ext2fs_open_inode_scan(seen.fs, 8, &scan))
        abort();
    seen.names = calloc((size_t) seen.fs->super->s_inodes_count + 1, sizeof(*seen.names));
    for (int pass = 0; pass < 2; pass++) {
        if (pass && ext2fs_inode_scan_goto_blockgroup(scan, 0))
            abort();
        for (;;) {
            if (ext2fs_get_next_inode(scan, &number, &inode))
                abort();
            if (number == 0)
                break;
            if (inode.i_links_count == 0 || (number < EXT2_FIRST_INODE(seen.fs->super) && number != EXT2_ROOT_INO))
                continue;
            if (pass) {
                if (seen.names[number] != inode.i_links_count && inode.i_links_count != 1)
                    abort();
                continue;
            }
            if (LINUX_S_ISDIR(inode.i_mode) && ext2fs_dir_iterate2(seen.fs, number, 0, NULL, image_on_name, &seen))
                abort();
            if (ext2fs_inode_has_valid_blocks2(seen.fs, &inode) &&
                ext2fs_block_iterate3(seen.fs, number, BLOCK_FLAG_READ_ONLY, NULL, image_on_block, used))
                abort();
        }
    }
    free(seen.names);
    ext2fs_close_inode_scan(scan);
    ext2fs_free_block_bitmap(used);
    (void) ext2fs_close_free(&seen.fs);
}

#endif
