#include "subtree.h"

#include "ext4.h"

#include <errno.h>
#include <et/com_err.h>
#include <ext2fs/ext2fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define CHUNK_BYTES ((size_t) 256 << 10)
#define STEPS_MAX   (8u << 20) /* extents looked at in one file: a tree may point at one node again and again */

struct seen {
    uint32_t from, to; /* the image's inode number, the tree's inode */
};

struct copier {
    int fd;
    ext2_filsys fs;
    struct tree *tree;
    struct volume *volume;
    struct import_report *report;
    uint64_t limit;
    struct seen *seen; /* open hash, as long as a power of two */
    uint32_t seen_count, seen_room;
    char *chunk;
    struct err *e;
    const char *without; /* a name at the top that stays behind, or NULL */
    int whole;           /* lost+found does too */
    int result;          /* of what happens inside the library's calls */
    char xattrs[TREE_XATTRS_MAX];
    size_t xattrs_used;
};

struct level {
    struct copier *c;
    int top;         /* of the image */
    uint32_t folder; /* node in the tree */
    uint32_t depth;
};

static int copy_folder(struct copier *c, ext2_ino_t number, uint32_t folder, uint32_t depth);

static int damaged(struct copier *c, const char *what, errcode_t code) {
    return err_set(c->e, EUCLEAN, "The base image is damaged: %s%s%s; pull or register it again", what,
                   code ? ": " : "", code ? error_message(code) : "");
}

static struct seen *seen_place(struct seen *list, uint32_t room, uint32_t from) {
    uint32_t at = (from * 2654435761u) & (room - 1);
    while (list[at].from && list[at].from != from)
        at = (at + 1) & (room - 1);
    return &list[at];
}

/* The entry for an inode of the image; `to` is 0 when it is new. NULL without memory. */
static struct seen *seen_entry(struct copier *c, uint32_t from) {
    if (c->seen_count * 2 >= c->seen_room) {
        uint32_t room = c->seen_room ? c->seen_room * 2 : 256;
        struct seen *more = calloc(room, sizeof(*more));
        if (!more)
            return NULL;
        for (uint32_t i = 0; i < c->seen_room; i++) {
            if (c->seen[i].from)
                *seen_place(more, room, c->seen[i].from) = c->seen[i];
        }
        free(c->seen);
        c->seen = more;
        c->seen_room = room;
    }
    struct seen *entry = seen_place(c->seen, c->seen_room, from);
    if (entry->from == 0) {
        entry->from = from;
        c->seen_count++;
    }
    return entry;
}

/* Blocks of a file that lie together, clipped to its size. */
static int copy_run(struct copier *c, uint64_t size, uint64_t logical, uint64_t physical, uint64_t length) {
    uint64_t block = c->fs->blocksize, total = ext2fs_blocks_count(c->fs->super);
    if (physical >= total || length > total - physical)
        return damaged(c, "a file lies outside of it", 0);
    uint64_t at = logical * block, end = (logical + length) * block;
    uint64_t from = physical * block;
    while (at < end && at < size) {
        uint64_t left = (end < size ? end : size) - at;
        size_t part = left < CHUNK_BYTES ? (size_t) left : CHUNK_BYTES;
        ssize_t n = pread(c->fd, c->chunk, part, (off_t) from);
        if (n <= 0)
            return n < 0 ? err_sys(c->e, errno, "The base image cannot be read") : damaged(c, "it is cut short", 0);
        int r = volume_write(c->volume, at, c->chunk, (size_t) n, c->e);
        if (r)
            return r;
        at += (uint64_t) n;
        from += (uint64_t) n;
        c->report->bytes += (uint64_t) n;
        if (c->report->bytes > c->limit)
            return err_set(c->e, EFBIG, "The base image's files are larger than the %llu MiB that are allowed",
                           (unsigned long long) (c->limit >> 20));
    }
    import_progress(c->report->bytes, c->report->entries);
    return 0;
}

static int copy_extents(struct copier *c, ext2_ino_t number, struct ext2_inode_large *inode) {
    ext2_extent_handle_t handle = NULL;
    errcode_t code = ext2fs_extent_open2(c->fs, number, (struct ext2_inode *) inode, &handle);
    if (code)
        return damaged(c, "a file's extents", code);
    struct ext2fs_extent extent;
    uint64_t size = EXT2_I_SIZE(inode), next = 0;
    uint32_t steps = 0;
    int r = 0;
    code = ext2fs_extent_get(handle, EXT2_EXTENT_ROOT, &extent);
    while (code == 0 && r == 0) {
        int data = (extent.e_flags & EXT2_EXTENT_FLAGS_LEAF) && !(extent.e_flags & EXT2_EXTENT_FLAGS_UNINIT);
        if ((extent.e_flags & EXT2_EXTENT_FLAGS_LEAF) && extent.e_lblk < next)
            r = damaged(c, "a file's extents overlap", 0);
        else if (++steps > STEPS_MAX)
            r = damaged(c, "a file has too many extents", 0);
        else if (data)
            r = copy_run(c, size, extent.e_lblk, extent.e_pblk, extent.e_len);
        if (extent.e_flags & EXT2_EXTENT_FLAGS_LEAF)
            next = extent.e_lblk + extent.e_len;
        code = ext2fs_extent_get(handle, EXT2_EXTENT_NEXT, &extent);
    }
    ext2fs_extent_free(handle);
    if (r == 0 && code != EXT2_ET_EXTENT_NO_NEXT && code != EXT2_ET_NO_CURRENT_NODE)
        r = damaged(c, "a file's extents", code);
    return r;
}

struct block_walk {
    struct copier *c;
    uint64_t size;
};

static int on_block(ext2_filsys fs, blk64_t *block, e2_blkcnt_t logical, blk64_t ref, int offset, void *context) {
    (void) fs;
    (void) ref;
    (void) offset;
    struct block_walk *walk = context;
    if (logical >= 0)
        walk->c->result = copy_run(walk->c, walk->size, (uint64_t) logical, *block, 1);
    return walk->c->result ? BLOCK_ABORT : 0;
}

/* Files of ext2 and ext3. */
static int copy_blocks(struct copier *c, ext2_ino_t number, struct ext2_inode_large *inode) {
    struct block_walk walk = {.c = c, .size = EXT2_I_SIZE(inode)};
    errcode_t code =
        ext2fs_block_iterate3(c->fs, number, BLOCK_FLAG_DATA_ONLY | BLOCK_FLAG_READ_ONLY, NULL, on_block, &walk);
    if (c->result)
        return c->result;
    return code ? damaged(c, "a file's blocks", code) : 0;
}

/* What lies in the inode itself, or is short: at most CHUNK_BYTES. */
static int read_small(struct copier *c, ext2_ino_t number, struct ext2_inode_large *inode, unsigned *got) {
    ext2_file_t file = NULL;
    errcode_t code = ext2fs_file_open2(c->fs, number, (struct ext2_inode *) inode, 0, &file);
    if (code == 0)
        code = ext2fs_file_read(file, c->chunk, (unsigned) CHUNK_BYTES, got);
    if (file)
        (void) ext2fs_file_close(file);
    return code ? damaged(c, "a small file", code) : 0;
}

static int copy_file(struct copier *c, ext2_ino_t number, struct ext2_inode_large *inode, uint32_t to) {
    uint64_t size = EXT2_I_SIZE(inode);
    if (size > VOLUME_FILE_MAX)
        return damaged(c, "a file is larger than ext4 has", 0);
    volume_begin(c->volume);
    int r = 0;
    unsigned got = 0;
    if (inode->i_flags & EXT4_INLINE_DATA_FL) {
        r = read_small(c, number, inode, &got);
        if (r == 0)
            r = volume_write(c->volume, 0, c->chunk, got < size ? got : (size_t) size, c->e);
    } else if (inode->i_flags & EXT4_EXTENTS_FL) {
        r = copy_extents(c, number, inode);
    } else {
        r = copy_blocks(c, number, inode);
    }
    struct tree_inode *out = &c->tree->inodes[to];
    return r ? r : volume_end(c->volume, size, &out->extent, &out->extents, &out->blocks, c->e);
}

static int link_target(struct copier *c, ext2_ino_t number, struct ext2_inode_large *inode, struct tree_inode *proto) {
    uint64_t size = EXT2_I_SIZE(inode);
    unsigned got = 0;
    if (size == 0 || size >= TREE_PATH_MAX)
        return damaged(c, "a symbolic link's length", 0);
    if (!ext2fs_is_fast_symlink((struct ext2_inode *) inode)) {
        int r = read_small(c, number, inode, &got);
        if (r)
            return r;
    } else {
        got = sizeof(inode->i_block) - 1;
        memcpy(c->chunk, inode->i_block, got);
    }
    if (got < size || memchr(c->chunk, '\0', size))
        return damaged(c, "a symbolic link", 0);
    proto->size = size;
    return tree_blob(c->tree, c->chunk, size, &proto->target, c->e);
}

static int64_t seconds(uint32_t low, uint32_t extra) {
    return (int64_t) (int32_t) low + ((int64_t) (extra & EXT4_EPOCH_MASK) << 32);
}

static int on_xattr(char *name, char *value, size_t size, void *context) {
    struct copier *c = context;
    (void) value;
    if (tree_xattr_known(name))
        c->result = tree_xattr_add(c->xattrs, &c->xattrs_used, name, value, size, c->e);
    return c->result ? XATTR_ABORT : 0;
}

/* Access control lists are stored in a form of ext4's own, which only ext2fs_xattr_get() turns into the kernel's. */
static int on_acl(struct copier *c, struct ext2_xattr_handle *handle, const char *name) {
    void *value = NULL;
    size_t size = 0;
    if (ext2fs_xattr_get(handle, name, &value, &size))
        return 0;
    int r = tree_xattr_add(c->xattrs, &c->xattrs_used, name, value, size, c->e);
    ext2fs_free_mem(&value);
    return r;
}

static int copy_xattrs(struct copier *c, ext2_ino_t number, struct tree_inode *proto) {
    struct ext2_xattr_handle *handle = NULL;
    c->xattrs_used = 0;
    errcode_t code = ext2fs_xattrs_open(c->fs, number, &handle);
    if (code == 0)
        code = ext2fs_xattrs_read(handle);
    if (code == 0)
        code = ext2fs_xattrs_iterate(handle, on_xattr, c);
    int r = c->result;
    if (r == 0 && code)
        r = damaged(c, "extended attributes", code);
    if (r == 0)
        r = on_acl(c, handle, "system.posix_acl_access");
    if (r == 0)
        r = on_acl(c, handle, "system.posix_acl_default");
    if (handle)
        (void) ext2fs_xattrs_close(&handle);
    if (r == 0 && c->xattrs_used) {
        proto->xattrs_size = (uint32_t) c->xattrs_used;
        r = tree_blob(c->tree, c->xattrs, c->xattrs_used, &proto->xattrs, c->e);
    }
    return r;
}

static int attributes(struct copier *c, ext2_ino_t number, struct ext2_inode_large *inode, struct tree_inode *proto) {
    *proto = (struct tree_inode){
        .mode = inode->i_mode,
        .uid = inode_uid(*inode),
        .gid = inode_gid(*inode),
        .mtime = (int32_t) inode->i_mtime,
    };
    if (EXT2_INODE_SIZE(c->fs->super) > EXT2_GOOD_OLD_INODE_SIZE && inode->i_extra_isize >= 12) {
        proto->mtime = seconds(inode->i_mtime, inode->i_mtime_extra);
        proto->mtime_ns = (inode->i_mtime_extra >> EXT4_EPOCH_BITS) % 1000000000u;
    }
    if (inode->i_flags & EXT4_ENCRYPT_FL)
        return err_set(c->e, EOPNOTSUPP, "The base image has encrypted files; use one without");
    switch (inode->i_mode & S_IFMT) {
    case S_IFREG:
        proto->size = EXT2_I_SIZE(inode);
        break;
    case S_IFLNK:
        if (link_target(c, number, inode, proto))
            return -c->e->code;
        break;
    case S_IFCHR:
    case S_IFBLK:
        if (inode->i_block[0]) {
            proto->major = inode->i_block[0] >> 8 & 0xff;
            proto->minor = inode->i_block[0] & 0xff;
        } else {
            proto->major = inode->i_block[1] >> 8 & 0xfff;
            proto->minor = (inode->i_block[1] & 0xff) | (inode->i_block[1] >> 12 & 0xfff00);
        }
        break;
    case S_IFDIR:
    case S_IFIFO:
    case S_IFSOCK:
        break;
    default:
        return damaged(c, "a file has no type", 0);
    }
    return copy_xattrs(c, number, proto);
}

static int read_inode(struct copier *c, ext2_ino_t number, struct ext2_inode_large *inode) {
    memset(inode, 0, sizeof(*inode));
    if (number == 0 || number > c->fs->super->s_inodes_count)
        return damaged(c, "a name leads to no file", 0);
    errcode_t code = ext2fs_read_inode_full(c->fs, number, (struct ext2_inode *) inode, sizeof(*inode));
    return code ? damaged(c, "a file's attributes", code) : 0;
}

static int copy_entry(struct copier *c, const struct level *level, ext2_ino_t number, const char *name, size_t size) {
    struct ext2_inode_large inode;
    struct tree_inode proto;
    uint32_t node = 0;
    struct seen *seen = seen_entry(c, number);
    if (!seen)
        return err_set(c->e, ENOMEM, "There is not enough memory for so many files; free some and try again");
    if (tree_child(c->tree, level->folder, name, size))
        return damaged(c, "a folder has a name twice", 0);
    if (seen->to) {
        if (S_ISDIR(c->tree->inodes[seen->to].mode))
            return damaged(c, "a folder has two names", 0);
        return tree_link(c->tree, level->folder, name, size, seen->to, c->e);
    }
    int r = read_inode(c, number, &inode);
    if (r == 0)
        r = attributes(c, number, &inode, &proto);
    if (r == 0)
        r = tree_add(c->tree, level->folder, name, size, &proto, &node, c->e);
    if (r)
        return r;
    seen->to = c->tree->nodes[node].inode;
    c->report->entries++;
    if (S_ISREG(proto.mode))
        return copy_file(c, number, &inode, seen->to);
    return S_ISDIR(proto.mode) ? copy_folder(c, number, node, level->depth + 1) : 0;
}

static int is_name(const char *name, size_t size, const char *wanted) {
    return strlen(wanted) == size && memcmp(name, wanted, size) == 0;
}

static int stays(const struct copier *c, const char *name, size_t size) {
    return is_name(name, size, "lost+found") || (c->without && is_name(name, size, c->without));
}

static int on_entry(ext2_ino_t folder, int kind, struct ext2_dir_entry *entry, int offset, int block_bytes,
                    char *buffer, void *context) {
    (void) folder;
    (void) offset;
    (void) block_bytes;
    (void) buffer;
    const struct level *level = context;
    struct copier *c = level->c;
    int size = ext2fs_dirent_name_len(entry);
    (void) kind; /* tells "." and ".." by their place, which differs for folders that lie in their inode */
    if (entry->inode == 0 || (size <= 2 && memcmp(entry->name, "..", (size_t) size) == 0))
        return 0;
    if (c->whole && level->top && stays(c, entry->name, (size_t) size))
        return 0;
    c->result = copy_entry(c, level, entry->inode, entry->name, (size_t) size);
    return c->result ? DIRENT_ABORT : 0;
}

static int copy_folder(struct copier *c, ext2_ino_t number, uint32_t folder, uint32_t depth) {
    struct level level = {.c = c, .top = number == EXT2_ROOT_INO, .folder = folder, .depth = depth};
    if (depth > TREE_DEPTH_MAX)
        return damaged(c, "its folders are nested too deep", 0);
    errcode_t code = ext2fs_dir_iterate2(c->fs, number, 0, NULL, on_entry, &level);
    if (c->result)
        return c->result;
    return code ? damaged(c, "a folder", code) : 0;
}

/* The folder of that number becomes the tree's folder at the path `to`. */
static int copy_into(struct copier *c, ext2_ino_t number, const char *to) {
    struct ext2_inode_large inode;
    struct tree_inode proto;
    uint32_t node = 0;
    int r = read_inode(c, number, &inode);
    if (r || !S_ISDIR(inode.i_mode))
        return r;
    r = attributes(c, number, &inode, &proto);
    if (r == 0)
        r = tree_add_path(c->tree, to, &proto, &node, c->e);
    struct seen *seen = r ? NULL : seen_entry(c, number);
    if (!seen)
        return r ? r : err_set(c->e, ENOMEM, "There is not enough memory for so many files; free some and try again");
    seen->to = c->tree->nodes[node].inode;
    return copy_folder(c, number, node, 0);
}

static int copy_top(struct copier *c, const char *name, const char *to) {
    ext2_ino_t number = 0;
    if (!name && ext2fs_has_feature_journal_needs_recovery(c->fs->super))
        return damaged(c, "it was not unmounted", 0);
    if (!name)
        return copy_into(c, EXT2_ROOT_INO, to);
    errcode_t code = ext2fs_lookup(c->fs, EXT2_ROOT_INO, name, (int) strlen(name), NULL, &number);
    if (code == EXT2_ET_FILE_NOT_FOUND)
        return 0;
    return code ? damaged(c, "its top folder", code) : copy_into(c, number, to);
}

static void silent(const char *who, errcode_t code, const char *fmt, va_list args) {
    (void) who;
    (void) code;
    (void) fmt;
    (void) args;
}

static int open_image(struct copier *c) {
    (void) set_com_err_hook(silent);
    char name[16];
    (void) snprintf(name, sizeof(name), "%d", c->fd);
    errcode_t code = ext2fs_open(name, EXT2_FLAG_64BITS, 0, 0, ext4_io_manager(), &c->fs);
    return code ? damaged(c, "it is no ext4 file system", code) : 0;
}

static int no_memory(struct err *e) {
    return err_set(e, ENOMEM, "There is not enough memory to read the base image; free some and try again");
}

/* `name`: a folder at the image's top, NULL for all of it. */
static int copy_image(const struct copier *how, const char *name, const char *to) {
    struct copier *c = malloc(sizeof(*c));
    if (!c)
        return no_memory(how->e);
    *c = *how;
    c->whole = !name;
    c->chunk = malloc(CHUNK_BYTES);
    int r = c->chunk ? open_image(c) : no_memory(c->e);
    if (r == 0)
        r = c->fs ? copy_top(c, name, to) : damaged(c, "it is no ext4 file system", 0);
    if (c->fs)
        ext2fs_free(c->fs);
    free(c->chunk);
    free(c->seen);
    free(c);
    return r;
}

int subtree_read(int fd, const char *name, uint64_t limit, struct tree *t, struct volume *v,
                 struct import_report *report, struct err *e) {
    const struct copier how = {.fd = fd, .tree = t, .volume = v, .report = report, .limit = limit, .e = e};
    return copy_image(&how, name, "");
}

int subtree_read_all(int fd, const char *without, const char *to, uint64_t limit, struct tree *t, struct volume *v,
                     struct import_report *report, struct err *e) {
    const struct copier how = {
        .fd = fd, .tree = t, .volume = v, .report = report, .limit = limit, .e = e, .without = without};
    return copy_image(&how, NULL, to);
}
