/* A file, a symbolic link or a folder with all in it as a stream of bytes: what `vm cp`
 * sends through the agent link. Header, sender and receiver are host's and guest's alike.
 *
 * The stream is TOTAL, then one FILE, LINK or FOLDER, which has no name (who receives it
 * names it), then END. A FOLDER is followed by its entries and LEAVE. An entry is struct
 * tree_entry, its name (one component of a path) and, of a LINK, its target. A FILE is
 * followed by chunks, a 32-bit size and so many bytes, and a last one of size 0. All is
 * little-endian (x86_64 only).
 *
 * The receiver trusts nothing: it makes each entry by its one name in a folder that it has
 * open, follows no symbolic link, makes files, links and folders only, under the caller's
 * own uid and with permission bits alone, and keeps some of the disk free. A file appears under its
 * name when it is complete, and has none before where the file system can (O_TMPFILE): then a receiver that is killed
 * leaves nothing of it, unless between the two calls by which a file takes another's place. What is left so the next
 * receiver that comes into that folder removes (tree_made.h).
 */
#ifndef BANGER_COMMON_TREE_H
#define BANGER_COMMON_TREE_H

#include <stddef.h>
#include <stdint.h>

#define TREE_NAME_MAX   255u
#define TREE_TARGET_MAX 4095u
#define TREE_DEPTH_MAX  250 /* folders in each other */
#define TREE_CHUNK_MAX  65536u
#define TREE_SAID       640 /* bytes of a sentence, its NUL included */

enum tree_type {
    TREE_TOTAL = 1,    /* size: bytes of all files, as far as the sender can tell */
    TREE_FILE = 2,     /* mode, times, size (as far as known), name */
    TREE_LINK = 3,     /* times, name, target */
    TREE_FOLDER = 4,   /* mode, times, name */
    TREE_LEAVE = 5,    /* the folder's end */
    TREE_LEFT_OUT = 6, /* name; mode: the errno of reading it, 0: neither file, link nor folder */
    TREE_FAILED = 7,   /* the name is a sentence; the stream ends */
    TREE_END = 8,
};

struct tree_entry {
    uint32_t type; /* enum tree_type */
    uint32_t mode; /* permission bits */
    uint32_t name_size, target_size;
    uint32_t reserved, nanoseconds;
    int64_t seconds; /* since 1970: modification time */
    uint64_t size;
};
#define TREE_CHUNK_FAILED 0xffffffffu /* in place of a chunk's size: FAILED follows */
_Static_assert(sizeof(struct tree_entry) == 40, "tree_entry has no padding");

struct tree_sender {
    int fd;                                                   /* the stream; blocking */
    void (*moved)(void *arg, uint64_t bytes, uint64_t total); /* after each piece of content; may be NULL */
    void (*left_out)(void *arg, const char *name, int code);  /* code: an errno, or 0; may be NULL */
    void *arg;
    char said[TREE_SAID]; /* why it failed, "" when the stream was cut */
    uint64_t bytes, total;
    size_t used;
    int depth;
    uint8_t buffer[4 + TREE_CHUNK_MAX];
};
/* Sends what is at `path`. A path that ends in "/", "/." or ".." is a folder's, and what a link leads to.
 * What cannot be read in a folder is left out and told. 0 or a negative errno with `said` filled, which the
 * receiver has been told then. */
int tree_send(struct tree_sender *s, const char *path);

struct tree_receiver {
    int fd;        /* the stream; blocking */
    int keep_room; /* 1: some of the disk stays free */
    void (*moved)(void *arg, uint64_t bytes, uint64_t total);
    void (*left_out)(void *arg, const char *path, int code); /* foreign bytes in `path` */
    void *arg;
    char said[TREE_SAID]; /* why it failed: foreign bytes may be in it */
    uint64_t bytes, total, checked;
    int depth;
    size_t head, tail;
    size_t path_used;
    struct tree_entry entry;
    char name[TREE_NAME_MAX + 1], target[TREE_TARGET_MAX + 1];
    char path[1024]; /* of the entry, below the root, cut where it is longer; for sentences */
    uint8_t buffer[65536];
};
/* Receives what is sent as `path`: in that folder under the name `base`, or, where there is no
 * such folder, under that name itself. An empty base is a folder's content, which goes into `path`.
 * 0 or a negative errno with `said` filled; then what was complete before is there. */
int tree_receive(struct tree_receiver *r, const char *path, const char *base);

/* What the copy of `path` is called: its last component, or "" where that says nothing (".", "..", "/", "x/."). */
void tree_base(const char *path, char base[TREE_NAME_MAX + 1]);

/* An answer in place of a tree: END, or FAILED with the sentence. 0 or a negative errno. */
int tree_answer(int fd, const char *said);
/* Reads one: 0, or a negative errno with `said` filled. */
int tree_answered(struct tree_receiver *r);

#endif
