#include "ext4.h"

#include <errno.h>
#include <ext2fs/ext2fs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define BLOCKS_LEAST (((uint64_t) 1 << 30) / BLOCK_SIZE)
#define INODE_RATIO  4u /* blocks an inode, as mke2fs does (16 KiB) */

const struct ext4_options ext4_rootfs = {
    .uuid = {0x6f, 0x1d, 0x2a, 0x5e, 0x91, 0x0c, 0x4b, 0x37, 0xa4, 0x58, 0x3b, 0xe2, 0x70, 0xc9, 0x15, 0x01},
    .hash_seed = {0x2b1c7d95, 0x4e0683fa, 0xa9d15c60, 0x73e82b14},
    .label = "banger-root",
};
const struct ext4_options ext4_work = {
    .uuid = {0x6f, 0x1d, 0x2a, 0x5e, 0x91, 0x0c, 0x4b, 0x37, 0xa4, 0x58, 0x3b, 0xe2, 0x70, 0xc9, 0x15, 0x02},
    .hash_seed = {0x2b1c7d95, 0x4e0683fa, 0xa9d15c60, 0x73e82b14},
    .label = "banger-work",
};

/* Every ext4 has one: e2fsck puts there what lost its name. */
static int find_lost_found(struct ext4 *x, struct err *e) {
    const struct tree_inode made = {.mode = S_IFDIR | 0700};
    uint32_t node = tree_child(x->tree, TREE_ROOT, "lost+found", 10);
    int r = node ? 0 : tree_add(x->tree, TREE_ROOT, "lost+found", 10, &made, &node, e);
    if (r)
        return r;
    x->lost_found = x->tree->nodes[node].inode;
    if (!S_ISDIR(x->tree->inodes[x->lost_found].mode))
        return err_set(e, EINVAL,
                       "\"lost+found\" at the top is not a folder, which ext4 needs; remove it and try again");
    return 0;
}

/* Links of folders: its name, its ".", and ".." of each folder in it. */
static void count_links(struct tree *t) {
    for (uint32_t i = TREE_ROOT; i < t->node_count; i++) {
        struct tree_inode *inode = &t->inodes[t->nodes[i].inode];
        if (t->nodes[i].inode && S_ISDIR(inode->mode))
            inode->links = 2;
    }
    for (uint32_t i = TREE_ROOT + 1; i < t->node_count; i++) {
        if (t->nodes[i].inode && S_ISDIR(t->inodes[t->nodes[i].inode].mode))
            t->inodes[t->nodes[t->nodes[i].parent].inode].links++;
    }
}

/* Numbers follow the order of arrival, so that the same input gives the same image. */
static int number_inodes(struct ext4 *x, struct err *e) {
    x->order = calloc(x->tree->inode_count, sizeof(*x->order));
    if (!x->order)
        return err_set(e, ENOMEM, "There is not enough memory for inodes; free some and try again");
    uint32_t next = EXT4_FIRST_FREE;
    for (uint32_t i = TREE_ROOT; i < x->tree->inode_count; i++) {
        struct tree_inode *inode = &x->tree->inodes[i];
        if (i == TREE_ROOT) {
            inode->number = EXT2_ROOT_INO;
        } else if (i == x->lost_found) {
            inode->number = EXT4_FIRST_FREE - 1;
        } else if (inode->links) {
            x->order[next - EXT4_FIRST_FREE] = i;
            inode->number = next++;
        }
    }
    x->inodes = next - 1;
    return 0;
}

/* Groups, and inodes in each, for a size in blocks. */
static void divide(struct ext4 *x, uint64_t blocks) {
    x->blocks = blocks;
    x->groups = (uint32_t) ((blocks + GROUP_BLOCKS - 1) / GROUP_BLOCKS);
    uint64_t wanted = (uint64_t) x->inodes + x->inodes / 8 + 64;
    uint64_t each = (blocks < GROUP_BLOCKS ? blocks : GROUP_BLOCKS) / INODE_RATIO;
    if (each * x->groups < wanted)
        each = (wanted + x->groups - 1) / x->groups;
    x->group_inodes = (uint32_t) (each + 15) & ~15u;
    x->table_blocks = x->group_inodes / (BLOCK_SIZE / EXT4_INODE_BYTES);
    uint32_t rest = (uint32_t) (blocks % GROUP_BLOCKS);
    if (x->groups > 1 && rest &&
        rest < x->table_blocks + DESCRIPTOR_BLOCKS + 64) { /* ext2fs_initialize would drop it */
        x->blocks -= rest;
        x->groups--;
    }
}

/* Blocks that the division needs at most. */
static uint64_t needs(const struct ext4 *x) {
    int journal = ext2fs_default_journal_size(x->blocks);
    return x->volume->next + (uint64_t) x->groups * (x->table_blocks + 3 + DESCRIPTOR_BLOCKS) + 512 +
           (uint64_t) (journal > 0 ? journal : 0);
}

static int choose_size(struct ext4 *x, struct err *e) {
    uint64_t blocks = x->options->size / BLOCK_SIZE;
    if (blocks) {
        divide(x, blocks);
        if (x->group_inodes > 8 * BLOCK_SIZE || x->group_inodes * (uint64_t) x->groups < x->inodes ||
            needs(x) > x->blocks)
            return err_set(e, ENOSPC, "The content does not fit on a disk of %llu MiB; ask for a larger one",
                           (unsigned long long) (x->options->size >> 20));
        return 0;
    }
    blocks = x->volume->used + x->volume->used / 2;
    if (blocks < BLOCKS_LEAST)
        blocks = BLOCKS_LEAST;
    blocks = (blocks + GROUP_BLOCKS - 1) / GROUP_BLOCKS * GROUP_BLOCKS;
    divide(x, blocks);
    while (x->group_inodes > 8 * BLOCK_SIZE || needs(x) > x->blocks) {
        blocks += GROUP_BLOCKS;
        divide(x, blocks);
    }
    if (blocks > VOLUME_BLOCKS_MAX)
        return err_set(e, EFBIG, "The image would be larger than 1 TiB; use a smaller one");
    return 0;
}

/* With flex_bg a group's bitmaps and table may lie anywhere: all of them follow the content. */
static int place_tables(struct ext4 *x, struct err *e) {
    x->tables = calloc(x->groups, sizeof(*x->tables));
    x->bitmaps = calloc(x->groups, sizeof(*x->bitmaps));
    x->folders = calloc(x->groups, sizeof(*x->folders));
    if (!x->tables || !x->bitmaps || !x->folders)
        return err_set(e, ENOMEM, "There is not enough memory for the groups; free some and try again");
    int r = 0;
    for (uint32_t i = 0; i < x->groups && r == 0; i++)
        r = volume_reserve(x->volume, 2, &x->bitmaps[i], e);
    for (uint32_t i = 0; i < x->groups && r == 0; i++)
        r = volume_reserve(x->volume, x->table_blocks, &x->tables[i], e);
    for (uint32_t i = TREE_ROOT; i < x->tree->inode_count && r == 0; i++) {
        const struct tree_inode *inode = &x->tree->inodes[i];
        if (inode->number && S_ISDIR(inode->mode))
            x->folders[(inode->number - 1) / x->group_inodes]++;
    }
    return r;
}

static int write_content(struct ext4 *x, struct err *e) {
    int r = find_lost_found(x, e);
    if (r)
        return r;
    count_links(x->tree);
    r = number_inodes(x, e);
    if (r == 0)
        r = ext4_write_folders(x, e);
    if (r == 0)
        r = ext4_write_extents(x, e);
    return r ? r : volume_flush(x->volume, e);
}

static int write_all(struct ext4 *x, uint64_t *size, uint64_t *used, struct err *e) {
    int r = write_content(x, e);
    if (r)
        return r;
    *used = x->volume->used * BLOCK_SIZE;
    x->volume->limit = UINT64_MAX; /* what follows is not content */
    r = choose_size(x, e);
    if (r == 0)
        r = place_tables(x, e);
    if (r)
        return r;
    *size = x->options->size ? x->options->size : x->blocks * BLOCK_SIZE;
    volume_punch(x->volume);
    if (ftruncate(x->volume->fd, (off_t) *size))
        return err_sys(e, errno, "The image's file cannot be made %llu MiB large", (unsigned long long) (*size >> 20));
    r = ext4_write_inodes(x, e);
    return r ? r : ext4_write_rest(x, e);
}

int ext4_finish(struct tree *t, struct volume *v, const struct ext4_options *options, uint64_t *size, uint64_t *used,
                struct err *e) {
    struct ext4 x = {.tree = t, .volume = v, .options = options};
    if (options->size && options->size < EXT4_SIZE_LEAST)
        return err_set(e, EINVAL, "A disk of %llu MiB is too small for ext4 with a journal; ask for at least 32 MiB",
                       (unsigned long long) (options->size >> 20));
    if (options->size / BLOCK_SIZE > VOLUME_BLOCKS_MAX)
        return err_set(e, EFBIG, "A disk can be 1 TiB at most; ask for a smaller one");
    x.seed = ext4_crc(~0u, options->uuid, sizeof(options->uuid));
    int r = write_all(&x, size, used, e);
    free(x.order);
    free(x.tables);
    free(x.bitmaps);
    free(x.folders);
    return r;
}
