#include "disk.h"

#include "ext4.h"
#include "subtree.h"
#include "tar.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

static int begin(const struct import_plan *plan, int out, struct tree *t, struct volume *v, struct err *e) {
    struct stat st;
    memset(t, 0, sizeof(*t));
    memset(v, 0, sizeof(*v));
    if (fstat(out, &st))
        return err_sys(e, errno, "The image's file cannot be written");
    if (!S_ISREG(st.st_mode) || st.st_size)
        return err_set(e, EINVAL, "The image's file must be a new, empty one");
    int r = tree_init(t, e);
    return r ? r : volume_init(v, out, plan->size, import_limit(plan), e);
}

static int finish(const struct import_plan *plan, const struct ext4_options *kind, struct tree *t, struct volume *v,
                  struct import_report *report, struct err *e) {
    struct ext4_options options = *kind;
    options.size = plan->size / BLOCK_SIZE * BLOCK_SIZE;
    return ext4_finish(t, v, &options, &report->size, &report->used, e);
}

typedef int reader_fn(struct blobs *source, uint64_t limit, struct tree *t, struct volume *v,
                      struct import_report *report, struct err *e);

static int rootfs_of(const struct import_plan *plan, reader_fn *read, struct blobs *source, int out,
                     struct import_report *report, struct err *e) {
    struct tree t;
    struct volume v;
    int r = begin(plan, out, &t, &v, e);
    if (r == 0)
        r = read(source, import_limit(plan), &t, &v, report, e);
    if (r == 0)
        r = finish(plan, &ext4_rootfs, &t, &v, report, e);
    tree_free(&t);
    volume_free(&v);
    return r;
}

int disk_rootfs(const struct import_plan *plan, int tar, int out, struct import_report *report, struct err *e) {
    struct blobs_file source;
    blobs_file(&source, tar);
    return rootfs_of(plan, tar_read, &source.blobs, out, report, e);
}

int disk_layers(const struct import_plan *plan, struct blobs *layers, int out, struct import_report *report,
                struct err *e) {
    return rootfs_of(plan, tar_read_layers, layers, out, report, e);
}

static uint32_t set_mode(struct tree *t, uint32_t node, uint16_t type, uint16_t mode) {
    struct tree_inode *inode = &t->inodes[t->nodes[node].inode];
    if (node == 0 || (inode->mode & S_IFMT) != type)
        return 0;
    inode->mode = (uint16_t) (type | mode);
    inode->uid = inode->gid = 0;
    return node;
}

static void normalise(struct tree *t) {
    (void) set_mode(t, TREE_ROOT, S_IFDIR, 0700);
    uint32_t ssh = set_mode(t, tree_child(t, TREE_ROOT, ".ssh", 4), S_IFDIR, 0700);
    if (ssh)
        (void) set_mode(t, tree_child(t, ssh, "authorized_keys", 15), S_IFREG, 0600);
}

int disk_work(const struct import_plan *plan, int base, int tar, int out, struct import_report *report, struct err *e) {
    struct tree t;
    struct volume v;
    int r = begin(plan, out, &t, &v, e);
    if (r == 0)
        r = subtree_read(base, "root", import_limit(plan), &t, &v, report, e);
    struct blobs_file source;
    blobs_file(&source, tar);
    uint64_t copied = report->bytes;
    if (r == 0 && tar >= 0)
        r = tar_read(&source.blobs, import_limit(plan), &t, &v, report, e);
    report->bytes += tar >= 0 ? copied : 0;
    if (r == 0) {
        normalise(&t);
        r = finish(plan, &ext4_work, &t, &v, report, e);
    }
    tree_free(&t);
    volume_free(&v);
    return r;
}

int disk_copy(const struct import_plan *plan, int image, int work, int out, struct import_report *report,
              struct err *e) {
    struct tree t;
    struct volume v;
    int r = begin(plan, out, &t, &v, e);
    if (r == 0)
        r = subtree_read_all(image, work >= 0 ? "root" : NULL, "", import_limit(plan), &t, &v, report, e);
    if (r == 0 && work >= 0)
        r = subtree_read_all(work, NULL, "root", import_limit(plan), &t, &v, report, e);
    if (r == 0)
        r = finish(plan, &ext4_rootfs, &t, &v, report, e);
    tree_free(&t);
    volume_free(&v);
    return r;
}
