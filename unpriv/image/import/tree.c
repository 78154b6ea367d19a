#include "tree.h"

#include <errno.h>
#include <ext2fs/ext2fs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>

#define LAYER_MASK 0x7ffu /* bits of a node's layer */

/* Makes room for one more element; arrays double. */
static int room(void **array, uint32_t count, uint32_t *have, size_t size, struct err *e) {
    if (count < *have)
        return 0;
    uint32_t more = *have ? *have * 2 : 1024;
    void *moved = reallocarray(*array, more, size);
    if (!moved)
        return err_set(e, ENOMEM, "There is not enough memory for so many files; free some memory and try again");
    *array = moved;
    *have = more;
    return 0;
}

int tree_blob(struct tree *t, const void *data, size_t size, uint32_t *out, struct err *e) {
    if (size > TREE_BLOB_MAX - t->blob_size)
        return err_set(e, EFBIG, "its names and attributes take more than %u MiB; use fewer files",
                       TREE_BLOB_MAX >> 20);
    while (t->blob_room - t->blob_size < size) {
        uint32_t more = t->blob_room ? t->blob_room * 2 : 65536;
        char *moved = realloc(t->blob, more);
        if (!moved)
            return err_set(e, ENOMEM, "There is not enough memory for so many names; free some memory and try again");
        t->blob = moved;
        t->blob_room = more;
    }
    memcpy(t->blob + t->blob_size, data, size);
    *out = t->blob_size;
    t->blob_size += (uint32_t) size;
    return 0;
}

static uint32_t bucket_of(const struct tree *t, uint32_t folder, const char *name, size_t size) {
    ext2_dirhash_t hash = 0;
    uint32_t seed[4] = {t->seed[0] ^ folder, t->seed[1], t->seed[2], t->seed[3]};
    (void) ext2fs_dirhash2(EXT2_HASH_HALF_MD4, name, (int) size, NULL, 0, seed, &hash, NULL);
    return (hash >> 1) & (t->bucket_count - 1); /* bit 0 of an ext4 hash is always 0 */
}

static void chain_in(struct tree *t, uint32_t node) {
    struct tree_node *n = &t->nodes[node];
    uint32_t bucket = bucket_of(t, n->parent, t->blob + n->name, n->name_size);
    n->chain = t->buckets[bucket];
    t->buckets[bucket] = node;
}

static int rehash(struct tree *t, uint32_t count, struct err *e) {
    uint32_t *fresh = calloc(count, sizeof(*fresh));
    if (!fresh)
        return err_set(e, ENOMEM, "There is not enough memory for so many files; free some memory and try again");
    free(t->buckets);
    t->buckets = fresh;
    t->bucket_count = count;
    for (uint32_t i = TREE_ROOT + 1; i < t->node_count; i++)
        chain_in(t, i);
    return 0;
}

static int new_inode(struct tree *t, const struct tree_inode *proto, uint32_t *out, struct err *e) {
    if (t->inode_count > 2 * TREE_ENTRIES_MAX) /* files that were replaced keep theirs */
        return err_set(e, E2BIG, "there are more than %u files; use fewer", TREE_ENTRIES_MAX);
    int r = room((void **) &t->inodes, t->inode_count, &t->inode_room, sizeof(*t->inodes), e);
    if (r)
        return r;
    struct tree_inode *inode = &t->inodes[t->inode_count];
    *inode = *proto;
    inode->extent = inode->extents = inode->blocks = inode->links = inode->number = 0;
    inode->depth = 0;
    *out = t->inode_count++;
    return 0;
}

int tree_init(struct tree *t, struct err *e) {
    memset(t, 0, sizeof(*t));
    if (getrandom(t->seed, sizeof(t->seed), 0) != (ssize_t) sizeof(t->seed))
        return err_sys(e, errno, "The system gives no random numbers");
    const struct tree_inode root = {.mode = S_IFDIR | 0755};
    uint32_t unused = 0;
    int r = room((void **) &t->nodes, 0, &t->node_room, sizeof(*t->nodes), e);
    if (r == 0)
        r = new_inode(t, &root, &unused, e); /* number 0 stays unused */
    if (r == 0)
        r = new_inode(t, &root, &unused, e);
    if (r == 0)
        r = tree_blob(t, "", 1, &unused, e); /* so that place 0 means none */
    if (r)
        return r;
    memset(t->nodes, 0, (TREE_ROOT + 1) * sizeof(*t->nodes));
    t->nodes[TREE_ROOT].inode = TREE_ROOT;
    t->nodes[TREE_ROOT].parent = TREE_ROOT;
    t->layer = 1;
    t->node_count = TREE_ROOT + 1;
    return rehash(t, 1024, e);
}

void tree_free(struct tree *t) {
    free(t->nodes);
    free(t->inodes);
    free(t->buckets);
    free(t->blob);
    memset(t, 0, sizeof(*t));
}

void tree_next_layer(struct tree *t) {
    t->layer++;
    t->recent = 0;
}

uint32_t tree_gone(struct tree *t) {
    uint32_t inode = t->gone;
    if (inode) {
        t->gone = t->inodes[inode].number;
        t->inodes[inode].number = 0;
    }
    return inode;
}

/* The node of that name, also one that was removed. */
static uint32_t find(const struct tree *t, uint32_t folder, const char *name, size_t size) {
    for (uint32_t i = t->buckets[bucket_of(t, folder, name, size)]; i; i = t->nodes[i].chain) {
        const struct tree_node *n = &t->nodes[i];
        if (n->parent == folder && n->name_size == size && memcmp(t->blob + n->name, name, size) == 0)
            return i;
    }
    return 0;
}

uint32_t tree_child(const struct tree *t, uint32_t folder, const char *name, size_t size) {
    uint32_t node = find(t, folder, name, size);
    return t->nodes[node].inode ? node : 0;
}

static int is_folder(const struct tree *t, uint32_t node) {
    return S_ISDIR(t->inodes[t->nodes[node].inode].mode);
}

static int check_name(const char *name, size_t size, struct err *e) {
    if (size > TREE_NAME_MAX)
        return err_set(e, ENAMETOOLONG, "a name in it is longer than %u bytes; use a shorter one", TREE_NAME_MAX);
    if (size == 0 || memchr(name, '/', size) || memchr(name, '\0', size) || (size == 1 && name[0] == '.'))
        return err_set(e, EINVAL, "a name in it is empty or holds a slash; make the archive again");
    if (size == 2 && memcmp(name, "..", 2) == 0)
        return err_set(e, EINVAL, "it leaves its folder through \"..\"; make the archive again without it");
    return 0;
}

/* Of every node, however its path came about: removing a folder walks down. */
static int check_depth(const struct tree *t, uint32_t folder, struct err *e) {
    uint32_t depth = 0;
    for (uint32_t i = folder; i != TREE_ROOT; i = t->nodes[i].parent)
        depth++;
    if (depth >= TREE_DEPTH_MAX)
        return err_set(e, ELOOP, "its folders are nested deeper than %u; use a flatter layout", TREE_DEPTH_MAX);
    return 0;
}

static int new_node(struct tree *t, uint32_t folder, const char *name, size_t size, uint32_t *out, struct err *e) {
    if (t->node_count > TREE_ENTRIES_MAX)
        return err_set(e, E2BIG, "there are more than %u files; use fewer", TREE_ENTRIES_MAX);
    int r = room((void **) &t->nodes, t->node_count, &t->node_room, sizeof(*t->nodes), e);
    if (r == 0 && t->node_count >= t->bucket_count)
        r = rehash(t, t->bucket_count * 2, e);
    struct tree_node fresh = {.parent = folder, .name_size = size & 0xff, .layer = t->layer & LAYER_MASK};
    if (r == 0)
        r = check_depth(t, folder, e);
    if (r == 0)
        r = tree_blob(t, name, size, &fresh.name, e);
    if (r)
        return r;
    uint32_t node = t->node_count++;
    t->nodes[node] = fresh;
    chain_in(t, node);
    *out = node;
    return 0;
}

static void list_child(struct tree *t, uint32_t node) {
    struct tree_node *n = &t->nodes[node], *up = &t->nodes[n->parent];
    if (n->listed)
        return;
    n->listed = 1;
    n->next = 0;
    if (up->last)
        t->nodes[up->last].next = node;
    else
        up->first = node;
    up->last = node;
}

/* The node loses its inode, which is gone when that was its last name. */
static void drop_name(struct tree *t, uint32_t node) {
    uint32_t inode = t->nodes[node].inode;
    t->nodes[node].inode = 0;
    t->recent = 0;
    if (--t->inodes[inode].links == 0) {
        t->inodes[inode].number = t->gone;
        t->gone = inode;
    }
}

/* Depth is bounded by check_depth(). */
static void drop_children(struct tree *t, uint32_t folder) { /* NOLINT(misc-no-recursion) */
    uint32_t next = 0;
    for (uint32_t i = t->nodes[folder].first; i; i = next) {
        next = t->nodes[i].next;
        t->nodes[i].listed = 0;
        if (t->nodes[i].inode == 0)
            continue;
        if (is_folder(t, i))
            drop_children(t, i);
        drop_name(t, i);
    }
    t->nodes[folder].first = t->nodes[folder].last = 0;
}

/* Everything in the folder that no entry of this layer touched. Once a layer is enough: what comes later is this
 * layer's. */
static void hide_lower(struct tree *t, uint32_t folder) { /* NOLINT(misc-no-recursion) */
    if (t->nodes[folder].opaque == t->layer)
        return;
    t->nodes[folder].opaque = t->layer & LAYER_MASK;
    uint32_t next = 0, first = t->nodes[folder].first;
    t->nodes[folder].first = t->nodes[folder].last = 0;
    for (uint32_t i = first; i; i = next) {
        next = t->nodes[i].next;
        t->nodes[i].listed = 0;
        if (t->nodes[i].inode == 0)
            continue;
        if (t->nodes[i].layer == t->layer) {
            list_child(t, i);
            if (is_folder(t, i))
                hide_lower(t, i);
            continue;
        }
        if (is_folder(t, i))
            drop_children(t, i);
        drop_name(t, i);
    }
}

static int has_children(const struct tree *t, uint32_t folder) {
    uint32_t i = t->nodes[folder].first;
    while (i && t->nodes[i].inode == 0)
        i = t->nodes[i].next;
    return i != 0;
}

/* The node for the name, made when it is missing, without inode; a folder that becomes one again keeps its own. */
static int claim(struct tree *t, uint32_t folder, const char *name, size_t size, int wants_folder, uint32_t *node,
                 struct err *e) {
    int r = check_name(name, size, e);
    if (r)
        return r;
    *node = find(t, folder, name, size);
    if (*node == 0)
        r = new_node(t, folder, name, size, node, e);
    if (r)
        return r;
    struct tree_node *n = &t->nodes[*node];
    if (n->inode && !is_folder(t, *node)) {
        drop_name(t, *node);
    } else if (n->inode && !wants_folder) {
        if (n->layer == t->layer && has_children(t, *node))
            return err_set(e, ENOTEMPTY,
                           "it is a file where there is already a folder with files; make the archive again");
        drop_children(t, *node);
        drop_name(t, *node);
    }
    n->layer = t->layer & LAYER_MASK;
    list_child(t, *node);
    return 0;
}

static void adopt(struct tree_inode *folder, const struct tree_inode *proto) {
    uint32_t links = folder->links;
    *folder = *proto;
    folder->links = links;
    folder->size = 0;
    folder->extent = folder->extents = folder->blocks = folder->number = 0;
}

int tree_add(struct tree *t, uint32_t folder, const char *name, size_t size, const struct tree_inode *proto,
             uint32_t *node, struct err *e) {
    int r = claim(t, folder, name, size, S_ISDIR(proto->mode), node, e);
    if (r)
        return r;
    uint32_t inode = t->nodes[*node].inode;
    if (inode) { /* a folder again */
        adopt(&t->inodes[inode], proto);
        return 0;
    }
    r = new_inode(t, proto, &inode, e);
    if (r)
        return r;
    t->inodes[inode].links = 1;
    t->nodes[*node].inode = inode;
    return 0;
}

int tree_link(struct tree *t, uint32_t folder, const char *name, size_t size, uint32_t inode, struct err *e) {
    uint32_t node = 0;
    t->inodes[inode].links++; /* first, so that linking a file over itself does not end it */
    int r = claim(t, folder, name, size, 0, &node, e);
    if (r)
        return r;
    if (t->inodes[inode].links > EXT2_LINK_MAX)
        return err_set(e, EMLINK, "its file has more than %d names; use fewer hard links", EXT2_LINK_MAX);
    t->nodes[node].inode = inode;
    return 0;
}

/* The next component of a path, "." passed over; NULL at the end. */
static const char *component(const char **path, size_t *size) {
    const char *at = *path;
    for (;;) {
        at += strspn(at, "/");
        *size = strcspn(at, "/");
        if (*size != 1 || at[0] != '.')
            break;
        at++;
    }
    *path = at + *size;
    return *size ? at : NULL;
}

static int no_target(struct err *e) {
    return err_set(e, ENOENT, "the file it links to is not in the archive before it; make the archive again");
}

/* On the way down a path. */
struct walk {
    struct tree *tree;
    int make;       /* missing folders; and what is passed through counts as touched */
    uint32_t links; /* followed */
    struct err *e;
};

static int follow(struct walk *w, uint32_t *folder, uint32_t link);

static int make_folder(struct walk *w, uint32_t folder, const char *name, size_t size, uint32_t *child) {
    const struct tree_inode plain = {.mode = S_IFDIR | 0755};
    return w->make ? tree_add(w->tree, folder, name, size, &plain, child, w->e) : no_target(w->e);
}

/* From a folder to the one of that name in it. */
static int descend(struct walk *w, uint32_t *folder, const char *name, size_t size) { /* NOLINT(misc-no-recursion) */
    struct tree *t = w->tree;
    if (w->links && size == 2 && memcmp(name, "..", 2) == 0) {
        *folder = t->nodes[*folder].parent;
        return 0;
    }
    int r = check_name(name, size, w->e);
    uint32_t child = r ? 0 : tree_child(t, *folder, name, size);
    if (r == 0 && child == 0)
        r = make_folder(w, *folder, name, size, &child);
    if (r)
        return r;
    uint16_t mode = t->inodes[t->nodes[child].inode].mode;
    if (S_ISLNK(mode) && t->follow && t->nodes[child].layer < t->layer)
        return follow(w, folder, child);
    if (!S_ISDIR(mode))
        return err_set(w->e, ENOTDIR, "it uses \"%.*s\", which is a %s, as a folder; make the archive again",
                       (int) (size < 80 ? size : 80), name, S_ISLNK(mode) ? "symbolic link" : "file");
    if (w->make)
        t->nodes[child].layer = t->layer & LAYER_MASK;
    *folder = child;
    return 0;
}

/* To the folder that a symbolic link means in the image: nothing lies above its top. */
static int follow(struct walk *w, uint32_t *folder, uint32_t link) { /* NOLINT(misc-no-recursion) */
    const struct tree_inode *inode = &w->tree->inodes[w->tree->nodes[link].inode];
    char target[TREE_PATH_MAX]; /* a copy: the blob moves when folders are made */
    if (++w->links > TREE_LINKS_MAX)
        return err_set(w->e, ELOOP, "its path goes through more than %u symbolic links; make the archive again",
                       TREE_LINKS_MAX);
    memcpy(target, w->tree->blob + inode->target, inode->size);
    target[inode->size] = '\0';
    if (target[0] == '/')
        *folder = TREE_ROOT;
    const char *rest = target;
    size_t size = 0;
    for (const char *name = component(&rest, &size); name; name = component(&rest, &size)) {
        int r = descend(w, folder, name, size);
        if (r)
            return r;
    }
    return 0;
}

/* The folder of a path and its last component (`*size` 0 for the root). */
static int resolve(struct tree *t, const char *path, int make, uint32_t *folder, const char **last, size_t *size,
                   struct err *e) {
    struct walk w = {.tree = t, .make = make, .e = e};
    if (strlen(path) >= TREE_PATH_MAX)
        return err_set(e, ENAMETOOLONG, "its path is longer than %u bytes; use a shorter one", TREE_PATH_MAX - 1);
    const char *rest = path;
    *folder = TREE_ROOT;
    if (t->recent && strncmp(path, t->recent_path, t->recent_size) == 0 && path[t->recent_size] == '/' &&
        !strchr(path + t->recent_size + 1, '/')) {
        rest = path + t->recent_size;
        *folder = t->recent;
    }
    *last = component(&rest, size);
    while (*last) {
        size_t next_size = 0;
        const char *next = component(&rest, &next_size);
        if (!next)
            break;
        w.links = 0;
        int r = descend(&w, folder, *last, *size);
        if (r)
            return r;
        *last = next;
        *size = next_size;
    }
    if (make && *last && *last > path && (*last)[*size] == '\0') {
        t->recent = *folder;
        t->recent_size = (size_t) (*last - path) - 1;
        memcpy(t->recent_path, path, t->recent_size);
        t->recent_path[t->recent_size] = '\0';
    }
    return 0;
}

int tree_add_path(struct tree *t, const char *path, const struct tree_inode *proto, uint32_t *node, struct err *e) {
    uint32_t folder = 0;
    const char *last = NULL;
    size_t size = 0;
    int r = resolve(t, path, 1, &folder, &last, &size, e);
    if (r)
        return r;
    if (last)
        return tree_add(t, folder, last, size, proto, node, e);
    if (!S_ISDIR(proto->mode))
        return err_set(e, EINVAL, "the top of the tree must be a folder; make the archive again");
    adopt(&t->inodes[TREE_ROOT], proto);
    *node = TREE_ROOT;
    return 0;
}

int tree_link_path(struct tree *t, const char *path, const char *target, struct err *e) {
    uint32_t folder = 0;
    const char *last = NULL;
    size_t size = 0;
    int r = resolve(t, target, 0, &folder, &last, &size, e);
    if (r)
        return r;
    if (last)
        r = check_name(last, size, e);
    if (r)
        return r;
    uint32_t node = last ? tree_child(t, folder, last, size) : TREE_ROOT;
    if (node == 0)
        return no_target(e);
    uint32_t inode = t->nodes[node].inode;
    if (S_ISDIR(t->inodes[inode].mode))
        return err_set(e, EPERM, "it is a hard link to a folder, which no file system has; make the archive again");
    r = resolve(t, path, 1, &folder, &last, &size, e);
    if (r)
        return r;
    if (!last)
        return err_set(e, EINVAL, "the top of the tree must be a folder; make the archive again");
    return tree_link(t, folder, last, size, inode, e);
}

int tree_hide_path(struct tree *t, const char *path, int opaque, struct err *e) {
    struct err why = {0};
    uint32_t folder = 0;
    const char *last = NULL;
    size_t size = 0;
    int r = resolve(t, path, 0, &folder, &last, &size, &why);
    if (r == 0 && last)
        r = check_name(last, size, &why);
    if (r == -ENOENT)
        return 0;
    if (r) {
        if (e)
            *e = why;
        return r;
    }
    uint32_t node = last ? tree_child(t, folder, last, size) : TREE_ROOT;
    if (node == 0)
        return 0;
    if (is_folder(t, node) && (opaque || t->nodes[node].layer == t->layer)) {
        hide_lower(t, node);
    } else if (!opaque && t->nodes[node].layer != t->layer) {
        drop_children(t, node);
        drop_name(t, node);
    }
    return 0;
}
