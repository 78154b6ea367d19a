#include "kernel.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The setup header, Documentation/arch/x86/boot.rst of the kernel. */
enum {
    SETUP_SECTS = 0x1f1,
    MAGIC = 0x202,
    PROTOCOL = 0x206,
    VERSION_TEXT = 0x20e, /* less 0x200 */
    PAYLOAD_OFFSET = 0x248,
    PAYLOAD_LENGTH = 0x24c,
    HEADER_END = 0x250,
    PROTOCOL_PAYLOAD = 0x0208, /* the first with payload fields */
};

static uint32_t le32(const uint8_t *data) {
    return (uint32_t) data[0] | (uint32_t) data[1] << 8 | (uint32_t) data[2] << 16 | (uint32_t) data[3] << 24;
}

static uint32_t le16(const uint8_t *data) {
    return (uint32_t) data[0] | (uint32_t) data[1] << 8;
}

static int release_char(uint8_t c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || strchr("-._+~", c) != NULL;
}

/* The word at `at`: a release holds no spaces, and only characters that a file name may have. */
static void release_take(const uint8_t *data, size_t size, size_t at, char *release, size_t room) {
    size_t used = 0;
    while (at < size && used < room - 1 && data[at] && release_char(data[at]))
        release[used++] = (char) data[at++];
    release[used] = '\0';
}

/* A bzImage says it in its header, a vmlinux in its banner. */
static void release_find(const struct kernel_blob *image, int bzimage, char *release, size_t room) {
    static const char banner[] = "Linux version ";
    release[0] = '\0';
    if (bzimage) {
        release_take(image->data, image->size, le16(image->data + VERSION_TEXT) + 0x200u, release, room);
        return;
    }
    const uint8_t *at = image->data, *end = image->data + image->size;
    while (!release[0] && (at = memmem(at, (size_t) (end - at), banner, sizeof banner - 1)) != NULL) {
        at += sizeof banner - 1;
        release_take(image->data, image->size, (size_t) (at - image->data), release, room);
    }
}

static int is_bzimage(const struct kernel_blob *image) {
    return image->size >= HEADER_END && memcmp(image->data + MAGIC, "HdrS", 4) == 0;
}

/* Cuts the compressed kernel out. */
static int payload_take(struct kernel_blob *image, struct err *e) {
    const uint8_t *data = image->data;
    size_t sectors = data[SETUP_SECTS] ? data[SETUP_SECTS] : 4;
    uint64_t offset = (sectors + 1) * 512u + (uint64_t) le32(data + PAYLOAD_OFFSET);
    uint64_t length = le32(data + PAYLOAD_LENGTH);
    if (le16(data + PROTOCOL) < PROTOCOL_PAYLOAD || length < 8)
        return err_set(e, EINVAL,
                       "this kernel image is too old to say where its vmlinux lies; use Linux 5.10 or newer");
    if (offset > image->size || length > image->size - offset)
        return err_set(e, EINVAL, "this kernel image is cut short: its header promises %llu bytes more than there are",
                       (unsigned long long) (offset + length - image->size));
    memmove(image->data, image->data + offset, length);
    image->size = length;
    return 0;
}

/* The build puts the size of the vmlinux behind its compressed form (gzip has it there itself). */
static int payload_inflate(struct kernel_blob *image, struct err *e) {
    size_t exact = le32(image->data + image->size - 4);
    if (exact == 0 || exact > KERNEL_IMAGE_MAX)
        return err_set(e, EINVAL, "the vmlinux in this kernel image would have %zu bytes; at most %u are taken", exact,
                       KERNEL_IMAGE_MAX);
    if (!kernel_is_packed(image))
        return err_set(e, EINVAL,
                       "the vmlinux in this kernel image is damaged, or packed in another way than gzip, bzip2, lzma, "
                       "xz, lzo, lz4 and zstd");
    if (image->data[0] != 0x1f)
        image->size -= 4;
    int code = kernel_inflate(image, exact);
    if (code == -ENOMEM)
        return err_set(e, ENOMEM, "there is not enough memory to unpack the vmlinux in this kernel image");
    if (code < 0 || image->size != exact)
        return err_set(e, EINVAL,
                       "the vmlinux in this kernel image cannot be unpacked to the %zu bytes that it should have: the "
                       "image is damaged; get it again",
                       exact);
    return 0;
}

/* From the file to an ELF, or what it holds instead of one. */
static int unpack(struct kernel_blob *image, struct err *e) {
    if (is_bzimage(image)) {
        int code = payload_take(image, e);
        return code < 0 ? code : payload_inflate(image, e);
    }
    if (kernel_is_packed(image) && kernel_inflate(image, KERNEL_IMAGE_MAX) < 0)
        return err_set(e, EINVAL, "this kernel cannot be unpacked: it is damaged or larger than %u bytes",
                       KERNEL_IMAGE_MAX);
    return 0;
}

/* Why it is no vmlinux. */
static int refuse(const struct kernel_blob *image, struct err *e) {
    const char *foreign = kernel_elf_foreign(image->data, image->size);
    if (foreign)
        return err_set(e, EINVAL, "this kernel is for %s; VMs run kernels for x86-64", foreign);
    if (image->size >= 8 && memcmp(image->data, "MZ", 2) == 0)
        return err_set(e, EINVAL,
                       "this is an EFI program, but no x86-64 kernel (in a unified kernel image lies one: give the "
                       "bzImage that it was made of)");
    if (image->size >= 4 && memcmp(image->data, "\177ELF", 4) == 0)
        return err_set(e, EINVAL, "this is an ELF file, but no whole x86-64 kernel: a vmlinux is needed");
    return err_set(e, EINVAL, "this is no x86-64 Linux kernel: neither a bzImage nor a vmlinux was found");
}

int kernel_vmlinux_take(struct kernel_blob *image, char *release, size_t size, struct err *e) {
    release[0] = '\0';
    if (image->size == 0)
        return err_set(e, EINVAL, "this kernel image is empty");
    if (is_bzimage(image))
        release_find(image, 1, release, size);
    int code = unpack(image, e);
    if (code < 0)
        return code;
    if (!kernel_elf_is_vmlinux(image->data, image->size))
        return refuse(image, e);
    if (!kernel_elf_can_load(image->data, image->size))
        return err_set(e, EINVAL,
                       "this vmlinux is damaged: its headers name parts that are not in it or do not lie below 4 GiB");
    if (!kernel_elf_has_pvh(image->data, image->size))
        return err_set(e, EINVAL,
                       "this kernel has no PVH entry and could not be started; use one built with CONFIG_PVH, as "
                       "Debian's are");
    if (!release[0])
        release_find(image, 0, release, size);
    return 0;
}
