/* Inside kernel_import: from a kernel package to what a VM boots.
 *
 *     import.c     the mode: descriptors in, descriptors out
 *     package.c    the input: a .deb, a tar, a bzImage or a vmlinux
 *     bzimage.c    the vmlinux inside a bzImage
 *     elf.c        segments, sections and notes of ELF files
 *     inflate.c    decompression in memory, of all that the kernel's build knows
 *     lzo.c        that of lzop's files
 *     blob.c       bytes on the heap
 *     wanted.c     which modules a VM needs
 *     modules.c    in which order
 *     initramfs.c  the cpio archive
 *
 * All input is foreign. Everything is held in memory and bounded; nothing is
 * opened. Offsets found in input are checked against sizes before use. */
#ifndef BANGER_KERNEL_IMPORT_KERNEL_H
#define BANGER_KERNEL_IMPORT_KERNEL_H

#include "../../../common/err.h"
#include "wanted.h"

#include <stddef.h>
#include <stdint.h>

#define KERNEL_INPUT_MAX   (1024u << 20) /* of the whole input, bytes */
#define KERNEL_IMAGE_MAX   (256u << 20)  /* of a bzImage or vmlinux */
#define KERNEL_MODULE_MAX  (16u << 20)   /* of one module */
#define KERNEL_MODULES_MAX 32            /* in the table of wanted.c */

/* Bytes on the heap. */
struct kernel_blob {
    uint8_t *data;
    size_t size;
};
void kernel_blob_free(struct kernel_blob *blob);
/* Adds bytes; -EFBIG beyond `max`, -ENOMEM. */
int kernel_blob_add(struct kernel_blob *blob, const void *data, size_t size, size_t max);
/* A blob of that size, its bytes not set yet; and one cut to a smaller size. 0 or -ENOMEM. */
int kernel_blob_make(struct kernel_blob *blob, size_t size);
int kernel_blob_shrink(struct kernel_blob *blob, size_t size);
/* Takes the whole rest of a descriptor; counts nothing. 0 or a negative errno. */
int kernel_blob_read(struct kernel_blob *blob, int fd, size_t max);

/* Where an input's bytes were counted, for the report. */
struct kernel_count {
    uint64_t bytes, entries;
};

/* What was in the input. */
struct kernel_package {
    struct kernel_blob image;   /* bzImage or vmlinux */
    struct kernel_blob builtin; /* modules.builtin */
    struct kernel_blob module[KERNEL_MODULES_MAX];
};
void kernel_package_free(struct kernel_package *package);

/* Reads the input to its end. 0 or a negative errno with `e` filled. */
int kernel_package_read(int fd, uint64_t limit, struct kernel_package *package, struct kernel_count *count,
                        struct err *e);

/* 1 when it begins as gzip, bzip2, lzma, xz, lzop, legacy lz4 or zstd do. */
int kernel_is_packed(const struct kernel_blob *blob);
/* Replaces the content by what it decompresses to; bytes behind the stream are not looked at. -EINVAL when it is
 * damaged or none of these, -EFBIG when the result is larger than `max` or 64 times the content, -ENOMEM. The
 * content stays on failure. */
int kernel_inflate(struct kernel_blob *blob, size_t max);

/* Replaces a bzImage or a packed vmlinux by the vmlinux in it; leaves a vmlinux alone. Fills
 * `release` with what the kernel calls itself. The result is an ELF64 of x86-64
 * with a PVH entry. 0 or a negative errno with `e` filled. */
int kernel_vmlinux_take(struct kernel_blob *image, char *release, size_t size, struct err *e);

/* 1 when the file is an executable ELF64 of x86-64. */
int kernel_elf_is_vmlinux(const uint8_t *data, size_t size);
/* 1 when what it would load is in the file and lies below 4 GiB. */
int kernel_elf_can_load(const uint8_t *data, size_t size);
/* The name of the other architecture that a kernel or ELF file is for, NULL: none that is known. */
const char *kernel_elf_foreign(const uint8_t *data, size_t size);
/* 1 when a note says where a PVH boot enters (XEN_ELFNOTE_PHYS32_ENTRY). */
int kernel_elf_has_pvh(const uint8_t *data, size_t size);
/* The value of a NAME=value string in a module's .modinfo section, NULL when there is
 * none. It lies in `data` and is NUL-terminated there. */
const char *kernel_elf_modinfo(const uint8_t *data, size_t size, const char *name);

/* Decompresses the modules that are there and says in which order to load them:
 * fills `order` with indices, dependencies first, and returns their number, or a negative
 * errno with `e` filled when a module a VM cannot do without is neither there nor built in.
 * What is built in is said by modules.builtin or else by the vmlinux, which package->image is by now. */
int kernel_modules_order(struct kernel_package *package, int order[KERNEL_MODULES_MAX], struct err *e);
/* That they are of the kernel's release, by their vermagic; modules without one, and a kernel without (""), fit. 0 or
 * -EINVAL with a sentence. */
int kernel_modules_fit(const struct kernel_package *package, const int *order, int count, const char *release,
                       struct err *e);

/* Writes the initramfs: /init is the agent, /modules/NN-name.ko the modules. The same
 * input gives the same bytes. 0 or a negative errno with `e` filled. */
int kernel_initramfs_write(int fd, const struct kernel_blob *agent, const struct kernel_package *package,
                           const int *order, int count, uint64_t *size, struct err *e);

#endif
