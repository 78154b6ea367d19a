/* The file tree of an image while it is being made: names, attributes, hard
 * links and where each file's data went. Compact: about 110 bytes an entry. Layers
 * lie over one another: each node knows the layer that touched it last. A path leads through
 * a symbolic link only where `follow` is set and a lower layer made the link;
 * it is resolved within the tree. */
#ifndef BANGER_IMAGE_IMPORT_TREE_H
#define BANGER_IMAGE_IMPORT_TREE_H

#include "../../../common/err.h"

#include <stddef.h>
#include <stdint.h>

#define TREE_ENTRIES_MAX 1000000u
#define TREE_DEPTH_MAX   256u
#define TREE_NAME_MAX    255u
#define TREE_PATH_MAX    4096u
#define TREE_BLOB_MAX    (256u << 20) /* all names, link targets and attributes together */
#define TREE_XATTRS_MAX  16384u       /* attributes of one file, before the file system's own limit */
#define TREE_ROOT        1u           /* node 0 and inode 0 mean "none" */
#define TREE_LAYERS_MAX  2046u
#define TREE_LINKS_MAX   40u /* symbolic links that lead to one entry */

struct tree_inode {
    int64_t mtime; /* seconds */
    uint64_t size; /* bytes; of a symbolic link: of its target */
    uint32_t mtime_ns;
    uint32_t uid, gid;
    uint32_t major, minor; /* of a device */
    uint32_t extent;       /* index of the first of `extents` in the volume */
    uint32_t extents;
    uint32_t blocks;      /* allocated, its extent tree included */
    uint32_t target;      /* blob of a symbolic link's target */
    uint32_t xattrs;      /* blob, 0 = none; see tree_set_xattrs */
    uint32_t links;       /* names; for a folder counted when the image is finished */
    uint32_t number;      /* the ext4 inode number, once known */
    uint16_t mode;        /* type and permissions, as st_mode */
    uint16_t depth;       /* of its extent tree, once built */
    uint32_t xattrs_size; /* bytes of the blob */
};

struct tree_node {
    uint32_t parent, next, first, last; /* next sibling; first and last child, of folders */
    uint32_t chain;                     /* next in the same hash bucket */
    uint32_t name;                      /* blob */
    uint32_t inode;                     /* 0 = removed; the name stays, for when it comes again */
    uint32_t name_size : 8;
    uint32_t layer : 11;  /* that touched it last, itself or below it */
    uint32_t opaque : 11; /* that hid what lower ones have in it */
    uint32_t listed : 1;  /* among its parent's children */
};

struct tree {
    struct tree_node *nodes;
    struct tree_inode *inodes;
    uint32_t *buckets;
    char *blob;
    uint32_t node_count, node_room, inode_count, inode_room, bucket_count, blob_size, blob_room;
    uint32_t seed[4]; /* random: nobody can aim at one bucket */
    uint32_t layer;   /* the one under way, from 1 on */
    uint32_t gone;    /* inodes that lost their last name, a list through `number` */
    int follow;       /* symbolic links of lower layers lead on */
    uint32_t recent;  /* the folder of the last path, whose text is `recent_path` */
    size_t recent_size;
    char recent_path[TREE_PATH_MAX];
};

/* An empty tree whose root is 0755 root:root. Free with tree_free() also after an error. */
int tree_init(struct tree *t, struct err *e);
void tree_free(struct tree *t);

/* Copies bytes in; `*out` is their place for t->blob + place, good for the tree's life. */
int tree_blob(struct tree *t, const void *data, size_t size, uint32_t *out, struct err *e);

/* What comes now lies over what is there. At most TREE_LAYERS_MAX times. */
void tree_next_layer(struct tree *t);

/* An inode that lost its last name and whose blocks are to be freed, each once; 0 when there is none left. */
uint32_t tree_gone(struct tree *t);

/* The child of that name, or 0. */
uint32_t tree_child(const struct tree *t, uint32_t folder, const char *name, size_t size);

/* Puts `name` into `folder` with the attributes of `proto` (links, extents and
 * number are ignored). What was there is replaced, except that a folder keeps its
 * children when it becomes a folder again; a folder that this layer touched and that has children cannot
 * become something else. `*node` is the node. tree_gone() tells what was replaced.
 * Names are checked: 1-255 bytes, no slash, not "." or "..". */
int tree_add(struct tree *t, uint32_t folder, const char *name, size_t size, const struct tree_inode *proto,
             uint32_t *node, struct err *e);

/* The same by path, missing parents being made (0755 root). Leading slashes, "." and
 * double slashes are passed over; ".." is refused. An empty path is the root,
 * which can only be a folder. */
int tree_add_path(struct tree *t, const char *path, const struct tree_inode *proto, uint32_t *node, struct err *e);

/* A further name, by path, for the file at the path `target`, which must be there and no folder. */
int tree_link_path(struct tree *t, const char *path, const char *target, struct err *e);
/* The same for a name in a folder and an inode. */
int tree_link(struct tree *t, uint32_t folder, const char *name, size_t size, uint32_t inode, struct err *e);

/* Removes what lower layers have at the path; with `opaque`, only what they have in that
 * folder. What this layer put there stays, whichever came first. What is not there is no error. */
int tree_hide_path(struct tree *t, const char *path, int opaque, struct err *e);

/* Whether the file system can hold an extended attribute of that name. */
int tree_xattr_known(const char *name);
/* Adds an extended attribute to the list that is built in `list` (`*used` of TREE_XATTRS_MAX bytes):
 * records of {u32 value size, name, 0, value}, kept in order of name. */
int tree_xattr_add(char *list, size_t *used, const char *name, const void *value, size_t size, struct err *e);
/* Calls for each record; returns what the call returns when that is not 0. */
typedef int tree_xattr_fn(void *context, const char *name, const void *value, size_t size);
int tree_xattr_each(const char *list, size_t used, tree_xattr_fn *fn, void *context);

#endif
