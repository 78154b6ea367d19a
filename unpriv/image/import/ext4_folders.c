#include "ext4.h"

#include <endian.h>
#include <errno.h>
#include <ext2fs/ext2fs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define TAIL_BYTES 12u /* of a block of entries: struct ext2_dir_entry_tail */
#define LEAF_BYTES (BLOCK_SIZE - TAIL_BYTES)
#define ROOT_START 32u /* of the index in block 0, after ".", ".." and its description */
#define NODE_START 8u
#define ROOT_LIMIT ((BLOCK_SIZE - ROOT_START - 8) / 8) /* 507: the last 8 bytes are the checksum's */
#define NODE_LIMIT ((BLOCK_SIZE - NODE_START - 8) / 8) /* 510 */

struct hashed {
    uint32_t hash, minor, node;
};

struct leaf {
    uint32_t first, count; /* of the sorted names */
    uint32_t hash;         /* what its index entry says */
};

struct folder {
    struct ext4 *x;
    uint32_t number, parent; /* inode numbers */
    uint32_t seed;
    struct hashed *names;
    uint32_t count;
    struct leaf *leaves;
    uint32_t leaf_count;
    uint64_t offset; /* next block's */
};

static uint32_t entry_bytes(uint32_t name_size) {
    return (8 + name_size + 3) & ~3u;
}

static uint8_t entry_type(uint16_t mode) {
    switch (mode & S_IFMT) {
    case S_IFREG:
        return EXT2_FT_REG_FILE;
    case S_IFDIR:
        return EXT2_FT_DIR;
    case S_IFCHR:
        return EXT2_FT_CHRDEV;
    case S_IFBLK:
        return EXT2_FT_BLKDEV;
    case S_IFIFO:
        return EXT2_FT_FIFO;
    case S_IFSOCK:
        return EXT2_FT_SOCK;
    case S_IFLNK:
        return EXT2_FT_SYMLINK;
    default:
        return EXT2_FT_UNKNOWN;
    }
}

static void put16(uint8_t *at, uint32_t value) {
    at[0] = (uint8_t) value;
    at[1] = (uint8_t) (value >> 8);
}

static void put32(uint8_t *at, uint32_t value) {
    put16(at, value);
    put16(at + 2, value >> 16);
}

static void put_entry(uint8_t *at, uint32_t number, uint32_t bytes, uint8_t type, const char *name, uint32_t size) {
    put32(at, number);
    put16(at + 4, bytes);
    at[6] = (uint8_t) size;
    at[7] = type;
    memcpy(at + 8, name, size);
}

static void put_node(const struct folder *f, uint8_t *at, uint32_t node, uint32_t bytes) {
    const struct tree *t = f->x->tree;
    const struct tree_node *n = &t->nodes[node];
    const struct tree_inode *inode = &t->inodes[n->inode];
    put_entry(at, inode->number, bytes, entry_type(inode->mode), t->blob + n->name, n->name_size);
}

static int write_block(struct folder *f, const uint8_t *block, struct err *e) {
    int r = volume_write(f->x->volume, f->offset, block, BLOCK_SIZE, e);
    f->offset += BLOCK_SIZE;
    return r;
}

static int write_leaf(struct folder *f, uint8_t *block, struct err *e) {
    uint8_t *tail = block + LEAF_BYTES;
    memset(tail, 0, TAIL_BYTES);
    put16(tail + 4, TAIL_BYTES);
    tail[7] = 0xde;
    put32(tail + 8, ext4_crc(f->seed, block, LEAF_BYTES));
    return write_block(f, block, e);
}

/* Names `first` .. `first + count` from `at` on; the last one reaches to the end of the block. */
static void put_names(const struct folder *f, uint8_t *block, uint32_t at, const struct leaf *leaf) {
    for (uint32_t i = 0; i < leaf->count; i++) {
        uint32_t node = f->names[leaf->first + i].node;
        uint32_t bytes = entry_bytes(f->x->tree->nodes[node].name_size);
        if (i + 1 == leaf->count)
            bytes = LEAF_BYTES - at;
        put_node(f, block + at, node, bytes);
        at += bytes;
    }
}

static void put_dots(const struct folder *f, uint8_t *block, uint32_t dotdot_bytes) {
    put_entry(block, f->number, 12, EXT2_FT_DIR, ".", 1);
    put_entry(block + 12, f->parent, dotdot_bytes, EXT2_FT_DIR, "..", 2);
}

static int write_linear(struct folder *f, struct err *e) {
    uint8_t block[BLOCK_SIZE] = {0};
    put_dots(f, block, f->count ? 12 : LEAF_BYTES - 12);
    const struct leaf all = {.first = 0, .count = f->count};
    put_names(f, block, 24, &all);
    return write_leaf(f, block, e);
}

/* Checksum of a block of the index (struct ext2_dx_tail): the entries in use, then the tail with a sum of 0. */
static void seal_index(const struct folder *f, uint8_t *block, uint32_t start, uint32_t limit, uint32_t count) {
    uint8_t tail[8] = {0};
    put16(block + start, limit);
    put16(block + start + 2, count);
    uint32_t crc = ext4_crc(f->seed, block, start + (size_t) count * 8);
    crc = ext4_crc(crc, tail, sizeof(tail));
    put32(block + start + (size_t) limit * 8 + 4, crc);
}

/* Entry `i` of an index: the first one's hash is where limit and count lie. */
static void put_index(uint8_t *block, uint32_t start, uint32_t i, uint32_t hash, uint32_t target) {
    put32(block + start + (size_t) i * 8, hash);
    put32(block + start + (size_t) i * 8 + 4, target);
}

static int write_root(struct folder *f, uint32_t nodes, struct err *e) {
    uint8_t block[BLOCK_SIZE] = {0};
    put_dots(f, block, BLOCK_SIZE - 12);
    block[28] = EXT2_HASH_HALF_MD4;
    block[29] = 8;             /* bytes of this description */
    block[30] = nodes ? 1 : 0; /* levels below the root */
    uint32_t count = nodes ? nodes : f->leaf_count;
    for (uint32_t i = 0; i < count; i++)
        put_index(block, ROOT_START, i, f->leaves[nodes ? i * NODE_LIMIT : i].hash, 1 + i);
    seal_index(f, block, ROOT_START, ROOT_LIMIT, count);
    return write_block(f, block, e);
}

static int write_node(struct folder *f, uint32_t index, uint32_t nodes, struct err *e) {
    uint8_t block[BLOCK_SIZE] = {0};
    put16(block + 4, BLOCK_SIZE);
    uint32_t first = index * NODE_LIMIT;
    uint32_t count = f->leaf_count - first < NODE_LIMIT ? f->leaf_count - first : NODE_LIMIT;
    for (uint32_t i = 0; i < count; i++)
        put_index(block, NODE_START, i, f->leaves[first + i].hash, 1 + nodes + first + i);
    seal_index(f, block, NODE_START, NODE_LIMIT, count);
    return write_block(f, block, e);
}

static int by_hash(const void *a, const void *b) {
    const struct hashed *l = a, *r = b;
    if (l->hash != r->hash)
        return l->hash < r->hash ? -1 : 1;
    if (l->minor != r->minor)
        return l->minor < r->minor ? -1 : 1;
    return l->node < r->node ? -1 : l->node > r->node;
}

/* Hash in the order of ext4_new_inode's peers: unsigned bytes, whatever this machine's char is (s_flags says so). */
static int hash_names(struct folder *f, struct err *e) {
    const struct tree *t = f->x->tree;
    for (uint32_t i = 0; i < f->count; i++) {
        const struct tree_node *n = &t->nodes[f->names[i].node];
        if (ext2fs_dirhash2(EXT2_HASH_HALF_MD4_UNSIGNED, t->blob + n->name, (int) n->name_size, NULL, 0,
                            f->x->options->hash_seed, &f->names[i].hash, &f->names[i].minor))
            return err_set(e, EIO, "A name cannot be hashed; this is an error in banger");
    }
    qsort(f->names, f->count, sizeof(*f->names), by_hash);
    return 0;
}

/* Cuts the sorted names into blocks. Bit 0 of an index entry's hash says that the block before ends with the same one.
 */
static int cut_leaves(struct folder *f, struct err *e) {
    uint32_t fill = 0, room = 0;
    for (uint32_t i = 0; i < f->count; i++) {
        uint32_t bytes = entry_bytes(f->x->tree->nodes[f->names[i].node].name_size);
        if (f->leaf_count == 0 || fill + bytes > LEAF_BYTES) {
            if (f->leaf_count == room) {
                room = room ? room * 2 : 64;
                struct leaf *moved = reallocarray(f->leaves, room, sizeof(*moved));
                if (!moved)
                    return err_set(e, ENOMEM, "There is not enough memory for a large folder; free some and try again");
                f->leaves = moved;
            }
            uint32_t same = i && f->names[i - 1].hash == f->names[i].hash;
            f->leaves[f->leaf_count++] = (struct leaf){.first = i, .hash = f->names[i].hash | same};
            fill = 0;
        }
        f->leaves[f->leaf_count - 1].count++;
        fill += bytes;
    }
    return 0;
}

static int write_indexed(struct folder *f, struct err *e) {
    int r = hash_names(f, e);
    if (r == 0)
        r = cut_leaves(f, e);
    if (r)
        return r;
    uint32_t nodes = f->leaf_count > ROOT_LIMIT ? (f->leaf_count + NODE_LIMIT - 1) / NODE_LIMIT : 0;
    if (nodes > ROOT_LIMIT)
        return err_set(e, EFBIG, "A folder has too many files; spread them over more folders");
    r = write_root(f, nodes, e);
    for (uint32_t i = 0; i < nodes && r == 0; i++)
        r = write_node(f, i, nodes, e);
    for (uint32_t i = 0; i < f->leaf_count && r == 0; i++) {
        uint8_t block[BLOCK_SIZE] = {0};
        put_names(f, block, 0, &f->leaves[i]);
        r = write_leaf(f, block, e);
    }
    return r;
}

static int list_names(struct folder *f, uint32_t first, uint32_t *bytes, struct err *e) {
    const struct tree *t = f->x->tree;
    for (uint32_t i = first; i; i = t->nodes[i].next)
        f->count += t->nodes[i].inode != 0;
    f->names = calloc(f->count ? f->count : 1, sizeof(*f->names));
    if (!f->names)
        return err_set(e, ENOMEM, "There is not enough memory for a large folder; free some and try again");
    uint32_t at = 0;
    *bytes = 24;
    for (uint32_t i = first; i; i = t->nodes[i].next) {
        if (t->nodes[i].inode == 0)
            continue;
        f->names[at++].node = i;
        *bytes += entry_bytes(t->nodes[i].name_size);
    }
    return 0;
}

static int write_folder(struct ext4 *x, uint32_t node, struct err *e) {
    const struct tree_node *n = &x->tree->nodes[node];
    struct tree_inode *inode = &x->tree->inodes[n->inode];
    struct folder f = {
        .x = x,
        .number = inode->number,
        .parent = x->tree->inodes[x->tree->nodes[n->parent].inode].number,
        .seed = ext4_inode_seed(x, inode->number),
    };
    uint32_t bytes = 0;
    volume_begin(x->volume);
    int r = list_names(&f, n->first, &bytes, e);
    if (r == 0)
        r = bytes <= LEAF_BYTES ? write_linear(&f, e) : write_indexed(&f, e);
    if (r == 0)
        r = volume_end(x->volume, f.offset, &inode->extent, &inode->extents, &inode->blocks, e);
    inode->size = f.offset;
    free(f.names);
    free(f.leaves);
    return r;
}

static int write_link(struct ext4 *x, struct tree_inode *inode, struct err *e) {
    volume_begin(x->volume);
    int r = volume_write(x->volume, 0, x->tree->blob + inode->target, inode->size, e);
    return r ? r : volume_end(x->volume, inode->size, &inode->extent, &inode->extents, &inode->blocks, e);
}

int ext4_write_folders(struct ext4 *x, struct err *e) {
    int r = 0;
    for (uint32_t i = TREE_ROOT; i < x->tree->node_count && r == 0; i++) {
        uint32_t inode = x->tree->nodes[i].inode;
        if (inode && S_ISDIR(x->tree->inodes[inode].mode))
            r = write_folder(x, i, e);
    }
    for (uint32_t i = TREE_ROOT; i < x->tree->inode_count && r == 0; i++) {
        struct tree_inode *inode = &x->tree->inodes[i];
        if (inode->links && S_ISLNK(inode->mode) && inode->size >= 60) /* shorter ones lie in the inode */
            r = write_link(x, inode, e);
    }
    return r;
}
