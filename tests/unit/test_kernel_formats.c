/* The bzImage reader on what the kernel build's own compressors make (tests/kernel/pack.sh), and on what lies. */
#include "../../unpriv/kernel/import/kernel.h"

#include <criterion/criterion.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *const formats[] = {"gzip", "bzip2", "lzma", "xz", "lzo", "lz4", "zstd"};
#define FORMATS (sizeof formats / sizeof *formats)

static char folder[] = "/tmp/banger-kernel.XXXXXX";

/* Runs a command with $F, the folder, and $W, a word. */
static void shell(const char *command, const char *word) {
    cr_assert_eq(setenv("F", folder, 1) | setenv("W", word, 1), 0);
    cr_assert_eq(system(command), 0, "%s (%s)", command, word);
}

static void make(void) {
    cr_assert(mkdtemp(folder) != NULL);
    shell("gcc -nostdlib -static -no-pie -Wl,-Ttext=0x1000000,--build-id=none -DPAYLOAD=\\\"$W\\\" "
          "-o $F/vmlinux tests/kernel/vmlinux.S",
          "build/banger-agent");
}

static void unmake(void) {
    shell("rm -rf $F", "");
}

static struct kernel_blob file(const char *name) {
    char path[256];
    struct kernel_blob blob = {0};
    (void) snprintf(path, sizeof path, "%s/%s", folder, name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    cr_assert_geq(fd, 0, "%s", path);
    cr_assert_eq(kernel_blob_read(&blob, fd, KERNEL_IMAGE_MAX), 0);
    (void) close(fd);
    return blob;
}

#define PACK "tests/kernel/pack.sh $W $F/vmlinux $F/$W"
static struct kernel_blob packed(const char *format) {
    shell(PACK, format);
    return file(format);
}

static int take(struct kernel_blob *image, struct err *e) {
    char release[64];
    *e = (struct err){0};
    return kernel_vmlinux_take(image, release, sizeof release, e);
}

TestSuite(kernel_formats, .init = make, .fini = unmake);

Test(kernel_formats, every_compression_of_the_kernels_build) {
    struct kernel_blob plain = file("vmlinux");
    for (size_t i = 0; i < FORMATS; i++) {
        char release[64];
        struct err e;
        struct kernel_blob image = packed(formats[i]);
        cr_assert_lt(image.size, plain.size, "%s", formats[i]);
        cr_assert_eq(kernel_vmlinux_take(&image, release, sizeof release, &e), 0, "%s: %s", formats[i], e.text);
        cr_assert_eq(image.size, plain.size, "%s", formats[i]);
        cr_assert_eq(memcmp(image.data, plain.data, plain.size), 0, "%s", formats[i]);
        cr_assert_str_eq(release, "6.1.0-packed");
        kernel_blob_free(&image);
    }
    kernel_blob_free(&plain);
}

/* lzop's other ways: no sums, stored blocks. */
Test(kernel_formats, lzop_with_other_sums_and_levels) {
    static const char *const ways[] = {"lzop -1 -c", "lzop -3 --crc32 -c", "lzop -7 -F -c"};
    struct kernel_blob plain = file("vmlinux");
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        shell("(cat $F/vmlinux; head -c 300000 /dev/urandom) > $F/mixed && $W $F/mixed > $F/mixed.lzo", ways[i]);
        struct kernel_blob image = file("mixed.lzo"), whole = file("mixed");
        cr_assert_eq(kernel_inflate(&image, KERNEL_IMAGE_MAX), 0, "%s", ways[i]);
        cr_assert(image.size == whole.size && memcmp(image.data, whole.data, whole.size) == 0, "%s", ways[i]);
        kernel_blob_free(&image);
        kernel_blob_free(&whole);
    }
    kernel_blob_free(&plain);
}

Test(kernel_formats, a_packed_vmlinux_without_a_setup) {
    struct err e;
    shell("xz -9 -c $F/vmlinux > $F/vmlinux.xz", "");
    struct kernel_blob image = file("vmlinux.xz");
    cr_assert_eq(take(&image, &e), 0, "%s", e.text);
    kernel_blob_free(&image);
}

/* The payload's size, behind it. */
static uint8_t *trailer(struct kernel_blob *image) {
    uint32_t offset = 0, length = 0;
    memcpy(&offset, image->data + 0x248, 4);
    memcpy(&length, image->data + 0x24c, 4);
    return image->data + 1024 + offset + length - 4;
}

Test(kernel_formats, a_size_that_lies_is_refused) {
    for (size_t i = 0; i < FORMATS; i++) {
        shell(PACK, formats[i]);
        for (int way = 0; way < 4; way++) {
            struct kernel_blob image = file(formats[i]);
            uint32_t size = 0;
            struct err e;
            memcpy(&size, trailer(&image), 4);
            const uint32_t lies[] = {size - 1, size + 1, 0, 0x0fffffff};
            memcpy(trailer(&image), &lies[way], 4);
            cr_assert_eq(take(&image, &e), -EINVAL, "%s, way %d", formats[i], way);
            cr_assert_gt(strlen(e.text), 30);
            kernel_blob_free(&image);
        }
    }
}

Test(kernel_formats, a_payload_that_is_damaged_or_cut_is_refused) {
    for (size_t i = 0; i < FORMATS; i++) {
        struct kernel_blob whole = packed(formats[i]);
        for (int way = 0; way < 16; way++) {
            struct kernel_blob image = {0};
            struct err e;
            cr_assert_eq(kernel_blob_add(&image, whole.data, whole.size, KERNEL_IMAGE_MAX), 0);
            size_t payload = (size_t) (trailer(&image) - image.data) - 1124;
            if (way < 8) {
                size_t at = 1124 + 20 + payload / 9 * (size_t) way;
                memset(image.data + at, 0xa5, 16); /* damaged: each format but lz4's has a sum */
            } else {
                memset(image.data + 1124 + payload / 8 * (size_t) (way - 8), 0,
                       payload - payload / 8 * (size_t) (way - 8)); /* ends in zeros */
            }
            int code = take(&image, &e);
            if (way >= 8 || strcmp(formats[i], "lz4") != 0)
                cr_assert_eq(code, -EINVAL, "%s, way %d", formats[i], way);
            kernel_blob_free(&image);
        }
        kernel_blob_free(&whole);
    }
}

/* 64 MiB of zeros in a few kilobytes, with the size said truly. */
Test(kernel_formats, a_bomb_is_refused) {
    shell("truncate -s 64M $F/bomb", "");
    for (size_t i = 0; i < FORMATS; i++) {
        if (strcmp(formats[i], "lz4") == 0 || strcmp(formats[i], "lzo") == 0)
            continue; /* at most 255:1 and 102:1, and slow here */
        struct err e;
        shell("tests/kernel/pack.sh $W $F/bomb $F/image 1", formats[i]);
        struct kernel_blob image = file("image");
        cr_assert_lt(image.size, 2 << 20, "%s", formats[i]);
        cr_assert_eq(take(&image, &e), -EINVAL, "%s", formats[i]);
        kernel_blob_free(&image);
    }
}

/* The old lzma format says the dictionary's size in its header. */
Test(kernel_formats, dictionaries_beyond_the_bound_are_refused) {
    struct err e;
    const uint32_t size = 1u << 30;
    struct kernel_blob image = packed("lzma");
    memcpy(image.data + 1124 + 1, &size, 4);
    int code = take(&image, &e);
    cr_assert_eq(code, -ENOMEM, "%d", code);
    cr_assert(strstr(e.text, "memory"), "%s", e.text);
    kernel_blob_free(&image);
}

/* --- ELF ---------------------------------------------------------------------- */

static Elf64_Phdr *load_of(struct kernel_blob *image) {
    Elf64_Ehdr *header = (Elf64_Ehdr *) (void *) image->data;
    for (unsigned i = 0; i < header->e_phnum; i++) {
        Elf64_Phdr *segment = (Elf64_Phdr *) (void *) (image->data + header->e_phoff) + i;
        if (segment->p_type == PT_LOAD)
            return segment;
    }
    cr_assert_fail("no segment");
    return NULL;
}

Test(kernel_formats, headers_that_overflow_are_refused) {
    for (int way = 0; way < 12; way++) {
        struct kernel_blob image = file("vmlinux");
        Elf64_Ehdr *header = (Elf64_Ehdr *) (void *) image.data;
        Elf64_Phdr *load = load_of(&image);
        struct err e;
        switch (way) {
        case 0:
            header->e_phoff = UINT64_MAX - 8;
            break;
        case 1:
            header->e_phoff = image.size - 8;
            break;
        case 2:
            header->e_phnum = 0xffff;
            break;
        case 3:
            header->e_phentsize = 8;
            break;
        case 4:
            header->e_phnum = 0;
            break;
        case 5:
            load->p_offset = UINT64_MAX - 4;
            break;
        case 6:
            load->p_offset = 4096;
            load->p_filesz = UINT64_MAX - 4095;
            break;
        case 7:
            load->p_memsz = 0;
            load->p_filesz = 1;
            break;
        case 8:
            load->p_paddr = UINT64_MAX - 4;
            break;
        case 9:
            load->p_memsz = UINT64_MAX;
            break;
        case 10:
            load->p_paddr = 0xfffff000;
            load->p_memsz = 0x100000;
            load->p_filesz = 0;
            break;
        case 11:
            header->e_type = ET_DYN;
            break;
        default:
            break;
        }
        cr_assert_eq(take(&image, &e), -EINVAL, "way %d", way);
        kernel_blob_free(&image);
    }
}

Test(kernel_formats, what_is_for_another_machine_is_named) {
    static const struct {
        uint16_t machine;
        const char *name;
    } machines[] = {{EM_AARCH64, "ARM64"}, {EM_386, "32-bit x86"}, {EM_RISCV, "RISC-V"}, {EM_S390, "IBM Z"}};
    struct err e;
    for (size_t i = 0; i < sizeof machines / sizeof *machines; i++) {
        struct kernel_blob image = file("vmlinux");
        memcpy(image.data + 18, &machines[i].machine, 2);
        if (machines[i].machine == EM_S390) {
            image.data[EI_DATA] = ELFDATA2MSB;
            image.data[18] = 0;
            image.data[19] = EM_S390;
        }
        cr_assert_eq(take(&image, &e), -EINVAL);
        cr_assert(strstr(e.text, machines[i].name), "%s", e.text);
        kernel_blob_free(&image);
    }
    uint8_t raw[128] = "MZ";
    struct kernel_blob image = {0};
    memcpy(raw + 56, "ARM\x64", 4);
    cr_assert_eq(kernel_blob_add(&image, raw, sizeof raw, sizeof raw), 0);
    cr_assert_eq(take(&image, &e), -EINVAL);
    cr_assert(strstr(e.text, "ARM64"), "%s", e.text);
    memcpy(image.data + 56, "RSC\x05", 4);
    cr_assert_eq(take(&image, &e), -EINVAL);
    cr_assert(strstr(e.text, "RISC-V"), "%s", e.text);
    memset(image.data + 56, 0, 4);
    cr_assert_eq(take(&image, &e), -EINVAL);
    cr_assert(strstr(e.text, "EFI"), "%s", e.text);
    kernel_blob_free(&image);
}

/* --- modules ------------------------------------------------------------------- */

/* A kernel alone is asked for its drivers' names. */
Test(kernel_formats, a_kernel_without_its_drivers_is_refused) {
    static const char *const drivers[] = {"virtio-mmio", "virtio_blk", "virtio_net", "virtio_console", "ext4"};
    for (size_t i = 0; i < sizeof drivers / sizeof *drivers; i++) {
        struct kernel_package package = {.image = file("vmlinux")};
        int order[KERNEL_MODULES_MAX];
        struct err e = {0};
        cr_assert_eq(take(&package.image, &e), 0);
        cr_assert_eq(kernel_modules_order(&package, order, &e), 0, "%s", e.text);
        uint8_t *at = memmem(package.image.data, package.image.size, drivers[i], strlen(drivers[i]) + 1);
        while (at) {
            memset(at, 'x', strlen(drivers[i]));
            at = memmem(package.image.data, package.image.size, drivers[i], strlen(drivers[i]) + 1);
        }
        cr_assert_eq(kernel_modules_order(&package, order, &e), -ENOENT, "%s", drivers[i]);
        cr_assert(strstr(e.text, i == 0 ? "virtio_mmio" : drivers[i]), "%s", e.text);
        kernel_package_free(&package);
    }
}
