/* For the tests of unpriv/image/import: tar streams made on the spot, and images read back by libext2fs. */
#ifndef BANGER_TESTS_UNIT_IMPORT_HELP_H
#define BANGER_TESTS_UNIT_IMPORT_HELP_H

#include "../../unpriv/image/import/disk.h"

#include <archive.h>
#include <archive_entry.h>
#include <ext2fs/ext2fs.h>
#include <stddef.h>
#include <stdint.h>

struct pack {
    struct archive *archive;
    int fd;
};

/* A pax archive in a memfd. */
struct pack pack_open(void);
/* An entry of the type (S_IFREG and so on) with mode, owner 0 and mtime 1,000,000; not written yet. */
struct archive_entry *pack_entry(const char *path, unsigned mode);
/* Writes the entry and its data, and frees it. */
void pack_put(struct pack *p, struct archive_entry *entry, const void *data, size_t size);
void pack_file(struct pack *p, const char *path, const char *text);
void pack_folder(struct pack *p, const char *path);
void pack_symlink(struct pack *p, const char *path, const char *target);
void pack_hardlink(struct pack *p, const char *path, const char *target);
/* Ends the archive: its descriptor, at the start. */
int pack_close(struct pack *p);

/* One raw ustar header of 512 bytes with a right checksum, for what libarchive would not write. */
void raw_header(char *out, const char *path, char type, const char *link, uint64_t size);
/* A memfd with these bytes, at the start. */
int bytes_fd(const void *data, size_t size);

/* An empty memfd. */
int image_fd(void);
/* tar -> root file system of `size` (0 = chosen) in a fresh memfd; closes `tar`. Asserts success and a clean e2fsck. */
int image_of(int tar, uint64_t size, struct import_report *report);
/* The same, expected to fail: the sentence. Closes `tar`. */
struct err image_refused(int tar, uint64_t size, uint64_t limit);
/* Runs e2fsck -fn: asserts that it says nothing but its passes. */
void image_check(int fd);
/* The descriptor's memory file holds these bytes anywhere. */
int image_holds(int fd, const char *text);

/* Reading back. */
ext2_filsys image_open(int fd);
/* The path's inode number, 0 when it is not there. Symbolic links are not followed at the end. */
ext2_ino_t image_find(ext2_filsys fs, const char *path);
struct ext2_inode_large image_inode(ext2_filsys fs, const char *path);
/* The whole content; free() it. */
char *image_read(ext2_filsys fs, const char *path, size_t *size);
/* Whether the content is this text. */
int image_says(ext2_filsys fs, const char *path, const char *text);
/* The value of an extended attribute, or NULL; ext2fs_free_mem() it. */
void *image_xattr(ext2_filsys fs, const char *path, const char *name, size_t *size);

/* Runs a program with /proc/self/fd/N of `fd` as its last argument: the exit status, its output in `out`. */
int run_on(int fd, char *out, size_t size, const char *const argv[]);

#endif
