#include "ext4.h"

#include <errno.h>
#include <et/com_err.h>
#include <ext2fs/ext2fs.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define MOMENT 1577836800u /* 2020-01-01: the time of everything the library writes, so that it never varies */

/* The library speaks through com_err, by default to stderr, where the messages to the engine go. */
static void silent(const char *who, errcode_t code, const char *fmt, va_list args) {
    (void) who;
    (void) code;
    (void) fmt;
    (void) args;
}

static int failed(struct err *e, errcode_t code, const char *what) {
    if (code == ENOSPC || code == EDQUOT || code == EFBIG)
        return err_set(e, (int) code,
                       "The host's disk is full or the account's quota is used up; free some space and "
                       "try again");
    int number = code > 0 && code < 200 ? (int) code : EIO;
    return err_set(e, number, "%s cannot be written to the image: %s", what, error_message(code));
}

static void set_features(struct ext2_super_block *s) {
    ext2fs_set_feature_resize_inode(s);
    ext2fs_set_feature_dir_index(s);
    ext2fs_set_feature_xattr(s);
    ext2fs_set_feature_filetype(s);
    ext2fs_set_feature_extents(s);
    ext2fs_set_feature_64bit(s);
    ext2fs_set_feature_flex_bg(s);
    ext2fs_set_feature_sparse_super(s);
    ext2fs_set_feature_large_file(s);
    ext2fs_set_feature_huge_file(s);
    ext2fs_set_feature_dir_nlink(s);
    ext2fs_set_feature_extra_isize(s);
    ext2fs_set_feature_metadata_csum(s);
}

static void set_identity(ext2_filsys fs, const struct ext4_options *options) {
    struct ext2_super_block *s = fs->super;
    fs->now = MOMENT;
    s->s_lastcheck = MOMENT;
    s->s_mkfs_time = MOMENT;
    s->s_wtime = MOMENT;
    s->s_kbytes_written = 0;
    memcpy(s->s_uuid, options->uuid, sizeof(s->s_uuid));
    memcpy(s->s_hash_seed, options->hash_seed, sizeof(s->s_hash_seed));
    memcpy(s->s_volume_name, options->label, strnlen(options->label, sizeof(s->s_volume_name)));
    s->s_def_hash_version = EXT2_HASH_HALF_MD4;
    s->s_flags = (s->s_flags & ~(uint32_t) EXT2_FLAGS_SIGNED_HASH) | EXT2_FLAGS_UNSIGNED_HASH;
    s->s_checksum_type = EXT2_CRC32C_CHKSUM;
    s->s_max_mnt_count = -1;
    s->s_checkinterval = 0;
    s->s_min_extra_isize = s->s_want_extra_isize = sizeof(struct ext2_inode_large) - EXT2_GOOD_OLD_INODE_SIZE;
    s->s_default_mount_opts = EXT2_DEFM_XATTR_USER | EXT2_DEFM_ACL;
    ext2fs_init_csum_seed(fs);
}

static errcode_t initialize(const struct ext4 *x, ext2_filsys *fs) {
    uint32_t descriptors = (x->groups + 63) / 64; /* 64 bytes each */
    struct ext2_super_block want = {
        .s_rev_level = EXT2_DYNAMIC_REV,
        .s_log_block_size = 2,
        .s_log_cluster_size = 2,
        .s_inode_size = EXT4_INODE_BYTES,
        .s_inodes_count = x->groups * x->group_inodes,
        .s_reserved_gdt_blocks = (uint16_t) (DESCRIPTOR_BLOCKS - descriptors),
        .s_log_groups_per_flex = 4,
    };
    set_features(&want);
    ext2fs_blocks_count_set(&want, x->blocks);
    char name[16];
    (void) snprintf(name, sizeof(name), "%d", x->volume->fd);
    errcode_t code = ext2fs_initialize(name, EXT2_FLAG_64BITS, &want, ext4_io_manager(), fs);
    if (code)
        return code;
    set_identity(*fs, x->options);
    if ((*fs)->group_desc_count != x->groups || (*fs)->super->s_inodes_per_group != x->group_inodes ||
        (*fs)->desc_blocks != descriptors || (*fs)->csum_seed != x->seed)
        return EXT2_ET_INVALID_ARGUMENT;
    return 0;
}

/* Blocks the volume handed out. Copies of the superblock are marked already; group 0 begins with one. */
static void mark_blocks(const struct ext4 *x, ext2_filsys fs) {
    const struct volume *v = x->volume;
    for (uint32_t start = 0; start < v->next; start += GROUP_BLOCKS) {
        uint32_t end = start + GROUP_BLOCKS < v->next ? start + GROUP_BLOCKS : v->next;
        uint32_t first = start + (volume_group_has_copy(start / GROUP_BLOCKS) ? 1 + DESCRIPTOR_BLOCKS : 0);
        if (first < end)
            ext2fs_block_alloc_stats_range(fs, first, end - first, 1);
    }
    for (uint32_t i = 0; i < v->hole_count; i++)
        ext2fs_block_alloc_stats_range(fs, v->holes[i].physical, v->holes[i].length, -1);
}

static void mark_inodes(const struct ext4 *x, ext2_filsys fs) {
    for (uint32_t number = 1; number <= x->inodes; number++)
        ext2fs_fast_mark_inode_bitmap2(fs->inode_map, number);
    ext2fs_mark_ib_dirty(fs);
    fs->super->s_free_inodes_count = fs->super->s_inodes_count - x->inodes;
    for (uint32_t i = 0; i < x->groups; i++) {
        uint32_t before = i * x->group_inodes;
        uint32_t here = x->inodes > before ? x->inodes - before : 0;
        if (here > x->group_inodes)
            here = x->group_inodes;
        if (here)
            ext2fs_bg_flags_clear(fs, i, EXT2_BG_INODE_UNINIT);
        ext2fs_bg_free_inodes_count_set(fs, i, x->group_inodes - here);
        ext2fs_bg_itable_unused_set(fs, i, x->group_inodes - here);
        ext2fs_bg_used_dirs_count_set(fs, i, x->folders[i]);
    }
}

static void place_groups(const struct ext4 *x, ext2_filsys fs) {
    for (uint32_t i = 0; i < x->groups; i++) {
        ext2fs_block_bitmap_loc_set(fs, i, x->bitmaps[i]);
        ext2fs_inode_bitmap_loc_set(fs, i, (blk64_t) x->bitmaps[i] + 1);
        ext2fs_inode_table_loc_set(fs, i, x->tables[i]);
    }
}

static errcode_t add_journal(const struct ext4 *x, ext2_filsys fs) {
    int blocks = ext2fs_default_journal_size(x->blocks);
    struct ext2fs_journal_params params = {.num_journal_blocks = blocks > 0 ? (blk_t) blocks : 1024};
    int flags = EXT2_MKJOURNAL_LAZYINIT | EXT2_MKJOURNAL_NO_MNT_CHECK; /* a hole; and no look at mount tables */
    return ext2fs_add_journal_inode3(fs, &params, x->volume->next, flags);
}

struct xattr_target {
    struct ext2_xattr_handle *handle;
    errcode_t code;
};

static int set_xattr(void *context, const char *name, const void *value, size_t size) {
    struct xattr_target *target = context;
    target->code = ext2fs_xattr_set(target->handle, name, value, size);
    return target->code ? -EINVAL : 0;
}

static int write_xattrs(const struct ext4 *x, ext2_filsys fs, const struct tree_inode *inode, struct err *e) {
    struct xattr_target target = {0};
    target.code = ext2fs_xattrs_open(fs, inode->number, &target.handle);
    if (target.code)
        return failed(e, target.code, "An extended attribute");
    int r = tree_xattr_each(x->tree->blob + inode->xattrs, inode->xattrs_size, set_xattr, &target);
    (void) ext2fs_xattrs_close(&target.handle);
    if (r == 0)
        return 0;
    if (target.code == EXT2_ET_EA_NO_SPACE)
        return err_set(e, ENOSPC,
                       "A file's extended attributes take more than the 4 KiB that ext4 has for them; use "
                       "smaller ones");
    return failed(e, target.code, "An extended attribute");
}

static int write_all_xattrs(const struct ext4 *x, ext2_filsys fs, struct err *e) {
    int r = 0;
    for (uint32_t i = TREE_ROOT; i < x->tree->inode_count && r == 0; i++) {
        if (x->tree->inodes[i].number && x->tree->inodes[i].xattrs)
            r = write_xattrs(x, fs, &x->tree->inodes[i], e);
    }
    return r;
}

/* Tables are zero where nothing was written, so no guest has to do it; a changed flag needs a new sum. */
static void seal_groups(ext2_filsys fs) {
    for (dgrp_t i = 0; i < fs->group_desc_count; i++) {
        ext2fs_bg_flags_set(fs, i, EXT2_BG_INODE_ZEROED);
        ext2fs_group_desc_csum_set(fs, i);
    }
    ext2fs_mark_super_dirty(fs);
}

int ext4_write_rest(struct ext4 *x, struct err *e) {
    ext2_filsys fs = NULL;
    (void) set_com_err_hook(silent);
    errcode_t code = initialize(x, &fs);
    if (code || !fs) {
        if (fs)
            ext2fs_free(fs);
        return failed(e, code, "The superblock");
    }
    place_groups(x, fs);
    mark_blocks(x, fs);
    mark_inodes(x, fs);
    code = ext2fs_flush_icache(fs);
    if (code == 0)
        code = ext2fs_create_resize_inode(fs);
    if (code == 0)
        code = add_journal(x, fs);
    int r = code ? failed(e, code, "The journal") : write_all_xattrs(x, fs, e);
    if (r == 0) {
        seal_groups(fs);
        code = ext2fs_close2(fs, EXT2_FLAG_FLUSH_NO_SYNC);
        if (code == 0)
            return 0;
        r = failed(e, code, "The superblock");
    }
    ext2fs_free(fs);
    return r;
}
