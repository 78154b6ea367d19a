/* From a kernel package to vmlinux and initramfs: made-up packages, and Debian's own when it is at hand. */
#include "../../common/io.h"
#include "../../unpriv/image/import/import.h"
#include "../../unpriv/kernel/import/kernel.h"

#include <archive.h>
#include <archive_entry.h>
#include <criterion/criterion.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define DEB_GLOB "/var/tmp/banger-tests/linux-image-*-cloud-amd64_*_amd64.deb"

/* --- made-up input ---------------------------------------------------------- */

struct bytes {
    uint8_t data[1 << 17];
    size_t size;
};

static void add(struct bytes *to, const void *data, size_t size) {
    cr_assert_leq(to->size + size, sizeof to->data);
    memcpy(to->data + to->size, data, size);
    to->size += size;
}

/* An x86-64 ELF program with a note, its drivers' names, and nothing to run. */
static void vmlinux_make(struct bytes *out, uint32_t note_type) {
    struct {
        Elf64_Ehdr header;
        Elf64_Phdr segment, load;
        Elf64_Nhdr note;
        char name[4];
        uint64_t entry;
        char text[64], drivers[64];
    } __attribute__((packed))
    image = {.header = {.e_ident = {0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, EV_CURRENT},
                        .e_type = ET_EXEC,
                        .e_machine = EM_X86_64,
                        .e_phoff = sizeof(Elf64_Ehdr),
                        .e_phentsize = sizeof(Elf64_Phdr),
                        .e_phnum = 2},
             .segment = {.p_type = PT_NOTE,
                         .p_offset = sizeof(Elf64_Ehdr) + 2 * sizeof(Elf64_Phdr),
                         .p_filesz = sizeof(Elf64_Nhdr) + 12},
             .load = {.p_type = PT_LOAD, .p_paddr = 1 << 24, .p_filesz = sizeof image, .p_memsz = 1 << 20},
             .note = {.n_namesz = 4, .n_descsz = 8, .n_type = note_type},
             .name = "Xen",
             .text = "Linux version 6.1.0-made-up (somebody)",
             .drivers = "virtio\0virtio-mmio\0virtio_blk\0virtio_net\0virtio_console\0ext4"};
    out->size = 0;
    add(out, &image, sizeof image);
}

/* A module whose .modinfo says what it needs. */
static void module_make(struct bytes *out, const char *depends) {
    char info[256] = "license=GPL";
    size_t length = 12 + (size_t) sprintf(info + 12, "depends=%s", depends) + 1;
    static const char names[] = "\0.modinfo\0.shstrtab";
    Elf64_Ehdr header = {.e_ident = {0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, EV_CURRENT},
                         .e_type = ET_REL,
                         .e_machine = EM_X86_64,
                         .e_shentsize = sizeof(Elf64_Shdr),
                         .e_shnum = 3,
                         .e_shstrndx = 2};
    header.e_shoff = sizeof header + length + sizeof names;
    Elf64_Shdr sections[3] = {
        {0},
        {.sh_name = 1, .sh_type = SHT_PROGBITS, .sh_offset = sizeof header, .sh_size = length},
        {.sh_name = 10, .sh_type = SHT_STRTAB, .sh_offset = sizeof header + length, .sh_size = sizeof names}};
    out->size = 0;
    add(out, &header, sizeof header);
    add(out, info, length);
    add(out, names, sizeof names);
    add(out, sections, sizeof sections);
}

static void compress(struct bytes *content, int (*filter)(struct archive *)) {
    struct bytes *out = calloc(1, sizeof *out);
    struct archive *writer = archive_write_new();
    struct archive_entry *entry = archive_entry_new();
    cr_assert(out && writer && entry);
    cr_assert_eq(archive_write_set_format_raw(writer), ARCHIVE_OK);
    cr_assert_eq(filter(writer), ARCHIVE_OK);
    (void) archive_write_set_bytes_in_last_block(writer, 1);
    cr_assert_eq(archive_write_open_memory(writer, out->data, sizeof out->data, &out->size), ARCHIVE_OK);
    archive_entry_set_filetype(entry, AE_IFREG);
    cr_assert_eq(archive_write_header(writer, entry), ARCHIVE_OK);
    cr_assert_eq(archive_write_data(writer, content->data, content->size), (la_ssize_t) content->size);
    archive_entry_free(entry);
    (void) archive_write_free(writer);
    memcpy(content, out, sizeof *out);
    free(out);
}

/* Puts a bzImage's setup around a vmlinux, as the kernel's build does. */
static void bzimage_make(struct bytes *image, int (*filter)(struct archive *), int size_behind) {
    struct bytes *out = calloc(1, sizeof *out);
    uint32_t plain = (uint32_t) image->size;
    uint8_t setup[2 * 512] = {0};
    cr_assert(out != NULL);
    compress(image, filter);
    if (size_behind)
        add(image, &plain, sizeof plain);
    uint32_t offset = 100, length = (uint32_t) image->size;
    setup[0x1f1] = 1; /* sector, after the boot sector */
    memcpy(setup + 0x202, "HdrS\x0f\x02", 6);
    setup[0x20f] = 0x01; /* version text at 0x300 */
    memcpy(setup + 0x248, &offset, 4);
    memcpy(setup + 0x24c, &length, 4);
    (void) sprintf((char *) setup + 0x300, "6.1.0-boxed (somebody) #1");
    add(out, setup, sizeof setup);
    out->size += offset;
    add(out, image->data, image->size);
    memcpy(image, out, sizeof *out);
    free(out);
}

static struct archive *writer_open(struct bytes *out, int (*format)(struct archive *),
                                   int (*filter)(struct archive *)) {
    struct archive *writer = archive_write_new();
    cr_assert(writer != NULL);
    cr_assert_eq(format(writer), ARCHIVE_OK);
    if (filter)
        cr_assert_eq(filter(writer), ARCHIVE_OK);
    (void) archive_write_set_bytes_in_last_block(writer, 1);
    out->size = 0;
    cr_assert_eq(archive_write_open_memory(writer, out->data, sizeof out->data, &out->size), ARCHIVE_OK);
    return writer;
}

static void entry_add(struct archive *writer, const char *path, const void *data, size_t size) {
    struct archive_entry *entry = archive_entry_new();
    cr_assert(entry != NULL);
    archive_entry_set_pathname(entry, path);
    archive_entry_set_filetype(entry, AE_IFREG);
    archive_entry_set_perm(entry, 0644);
    archive_entry_set_size(entry, (la_int64_t) size);
    cr_assert_eq(archive_write_header(writer, entry), ARCHIVE_OK);
    cr_assert_eq(archive_write_data(writer, data, size), (la_ssize_t) size);
    archive_entry_free(entry);
}

#define MODULES "./usr/lib/modules/6.1.0-made-up/"

/* A package with a kernel of which ext4 is built in, and modules with these dependencies. */
static void deb_make(struct bytes *deb, const char *const (*modules)[2], size_t count) {
    struct bytes *tar = calloc(1, sizeof *tar), *part = calloc(1, sizeof *part);
    static const char builtin[] = "kernel/fs/ext4/ext4.ko\nkernel/drivers/char/hw_random/rng-core.ko\n";
    char path[256];
    cr_assert(tar && part);
    struct archive *writer = writer_open(tar, archive_write_set_format_gnutar, archive_write_add_filter_xz);
    vmlinux_make(part, 18);
    bzimage_make(part, archive_write_add_filter_gzip, 0);
    entry_add(writer, "./boot/vmlinuz-6.1.0-made-up", part->data, part->size);
    entry_add(writer, MODULES "modules.builtin", builtin, sizeof builtin - 1);
    for (size_t i = 0; i < count; i++) {
        module_make(part, modules[i][1]);
        if (strstr(modules[i][0], ".xz"))
            compress(part, archive_write_add_filter_xz);
        (void) snprintf(path, sizeof path, MODULES "kernel/drivers/%s", modules[i][0]);
        entry_add(writer, path, part->data, part->size);
    }
    (void) archive_write_free(writer);
    writer = writer_open(deb, archive_write_set_format_ar_svr4, NULL);
    entry_add(writer, "debian-binary", "2.0\n", 4);
    entry_add(writer, "control.tar.xz", "irrelevant", 10);
    entry_add(writer, "data.tar.xz", tar->data, tar->size);
    (void) archive_write_free(writer);
    free(tar);
    free(part);
}

/* --- running it -------------------------------------------------------------- */

struct outcome {
    int code;
    struct import_report report;
    struct err error;
};

/* What one import made. */
struct made {
    int vmlinux, initrd;
    struct outcome outcome;
};

/* Runs kernel_import in a process of its own, on the descriptors it expects. */
static struct made import(int input, int agent) {
    struct made made = {.vmlinux = memfd_create("vmlinux", MFD_CLOEXEC), .initrd = memfd_create("initrd", MFD_CLOEXEC)};
    int pipes[2];
    cr_assert(made.vmlinux >= 0 && made.initrd >= 0 && pipe(pipes) == 0);
    pid_t pid = fork();
    if (pid == 0) {
        struct outcome outcome = {0};
        struct import_plan plan = {.magic = IMPORT_PLAN_MAGIC, .mode = IMPORT_KERNEL};
        const int from[] = {pipes[1], input, agent, made.vmlinux, made.initrd};
        for (int i = 0; i < 5; i++)
            (void) dup2(from[i], 100 + i);
        for (int i = 0; i < 5; i++)
            (void) dup2(100 + i, 3 + i);
        outcome.code = kernel_import(&plan, &outcome.report, &outcome.error);
        _exit(io_write(3, &outcome, sizeof outcome) != 0);
    }
    (void) close(pipes[1]);
    int status = -1;
    cr_assert_eq(io_read(pipes[0], &made.outcome, sizeof made.outcome), 0, "the import died");
    cr_assert_eq(waitpid(pid, &status, 0), pid);
    (void) close(pipes[0]);
    return made;
}

static int file_of(const void *data, size_t size) {
    int fd = memfd_create("input", MFD_CLOEXEC);
    cr_assert(fd >= 0);
    cr_assert_eq(io_write(fd, data, size), 0);
    cr_assert_eq(lseek(fd, 0, SEEK_SET), 0);
    return fd;
}

static struct made import_bytes(const struct bytes *input) {
    return import(file_of(input->data, input->size), file_of("\177ELF agent", 10));
}

/* Lists the initramfs, read by libarchive: "path mode size" lines. */
static void cpio_list(int fd, char *text, size_t room) {
    struct archive *reader = archive_read_new();
    struct archive_entry *entry = NULL;
    size_t used = 0;
    cr_assert_eq(lseek(fd, 0, SEEK_SET), 0);
    cr_assert_eq(archive_read_support_format_cpio(reader), ARCHIVE_OK);
    cr_assert_eq(archive_read_open_fd(reader, fd, 65536), ARCHIVE_OK);
    text[0] = '\0';
    int got = ARCHIVE_OK;
    while ((got = archive_read_next_header(reader, &entry)) == ARCHIVE_OK)
        used += (size_t) snprintf(text + used, room - used, "%s %o\n", archive_entry_pathname(entry),
                                  archive_entry_mode(entry));
    cr_assert_eq(got, ARCHIVE_EOF);
    (void) archive_read_free(reader);
}

static const char *const usual[][2] = {
    {"virtio_blk.ko", "virtio,virtio_ring"},
    {"net_failover.ko.xz", "failover"},
    {"virtio_net.ko", "virtio_ring,virtio,net-failover"},
    {"virtio-rng.ko", "virtio,virtio_ring,rng-core"},
    {"virtio_mmio.ko", "virtio,virtio_ring"},
    {"virtio_ring.ko", "virtio"},
    {"virtio_console.ko.xz", "virtio,virtio_ring"},
    {"failover.ko", ""},
    {"virtio.ko", ""},
    {"evdev.ko", "something-unknown"},
    {"nouveau.ko", "drm"},
};
#define USUAL (sizeof usual / sizeof *usual)

TestSuite(kernel_import, .timeout = 60);

Test(kernel_import, package_in_dependency_order) {
    static struct bytes deb;
    char list[4096];
    deb_make(&deb, usual, USUAL);
    struct made made = import_bytes(&deb);
    cr_assert_eq(made.outcome.code, 0, "%s", made.outcome.error.text);
    cr_assert_str_eq(made.outcome.report.release, "6.1.0-boxed");
    cr_assert_eq(made.outcome.report.bytes, deb.size);
    cpio_list(made.initrd, list, sizeof list);
    cr_assert_str_eq(list, "dev 40755\ndev/console 20600\ninit 100755\nmodules 40755\n"
                           "modules/00-virtio.ko 100644\nmodules/01-virtio_ring.ko 100644\n"
                           "modules/02-virtio_mmio.ko 100644\nmodules/03-virtio_blk.ko 100644\n"
                           "modules/04-virtio_console.ko 100644\nmodules/05-failover.ko 100644\n"
                           "modules/06-net_failover.ko 100644\nmodules/07-virtio_net.ko 100644\n"
                           "modules/08-virtio_rng.ko 100644\n");
}

Test(kernel_import, same_input_same_bytes) {
    static struct bytes deb;
    static uint8_t one[1 << 17], two[1 << 17];
    deb_make(&deb, usual, USUAL);
    struct made first = import_bytes(&deb), second = import_bytes(&deb);
    ssize_t size = pread(first.initrd, one, sizeof one, 0);
    cr_assert_gt(size, 1000);
    cr_assert_eq(size, pread(second.initrd, two, sizeof two, 0));
    cr_assert_eq(memcmp(one, two, (size_t) size), 0);
}

Test(kernel_import, a_missing_module_is_named) {
    static struct bytes deb;
    deb_make(&deb, usual + 1, USUAL - 1); /* without virtio_blk */
    struct made made = import_bytes(&deb);
    cr_assert_eq(made.outcome.code, -ENOENT);
    cr_assert(strstr(made.outcome.error.text, "virtio_blk"), "%s", made.outcome.error.text);
}

Test(kernel_import, modules_in_a_circle_are_refused) {
    static struct bytes deb;
    static const char *const circle[][2] = {{"virtio.ko", "virtio_ring"}, {"virtio_ring.ko", "virtio"}};
    deb_make(&deb, circle, 2);
    struct made made = import_bytes(&deb);
    cr_assert_lt(made.outcome.code, 0);
    cr_assert(strstr(made.outcome.error.text, "virtio"), "%s", made.outcome.error.text);
}

Test(kernel_import, a_bzimage_alone_in_every_compression) {
    static struct bytes image, plain;
    static const struct {
        int (*filter)(struct archive *);
        int behind;
    } cases[] = {{archive_write_add_filter_gzip, 0},
                 {archive_write_add_filter_bzip2, 1},
                 {archive_write_add_filter_lzma, 1},
                 {archive_write_add_filter_xz, 1},
                 {archive_write_add_filter_zstd, 1}};
    vmlinux_make(&plain, 18);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint8_t out[1024];
        char list[256];
        vmlinux_make(&image, 18);
        bzimage_make(&image, cases[i].filter, cases[i].behind);
        struct made made = import_bytes(&image);
        cr_assert_eq(made.outcome.code, 0, "case %zu: %s", i, made.outcome.error.text);
        cr_assert_eq(pread(made.vmlinux, out, sizeof out, 0), (ssize_t) plain.size);
        cr_assert_eq(memcmp(out, plain.data, plain.size), 0);
        cpio_list(made.initrd, list, sizeof list);
        cr_assert_str_eq(list, "dev 40755\ndev/console 20600\ninit 100755\n");
    }
}

Test(kernel_import, a_vmlinux_is_taken_as_it_is) {
    static struct bytes image;
    vmlinux_make(&image, 18);
    struct made made = import_bytes(&image);
    cr_assert_eq(made.outcome.code, 0, "%s", made.outcome.error.text);
    cr_assert_str_eq(made.outcome.report.release, "6.1.0-made-up");
}

Test(kernel_import, what_is_no_kernel_is_refused) {
    static struct bytes image;
    vmlinux_make(&image, 17);
    struct made made = import_bytes(&image);
    cr_assert_eq(made.outcome.code, -EINVAL);
    cr_assert(strstr(made.outcome.error.text, "PVH"), "%s", made.outcome.error.text);
    image.size = 0;
    add(&image, "a text", 6);
    made = import_bytes(&image);
    cr_assert_eq(made.outcome.code, -EINVAL);
    static const char *const none[1][2];
    deb_make(&image, none, 0);
    image.size -= 300;
    made = import_bytes(&image);
    cr_assert_eq(made.outcome.code, -EINVAL);
    made = import(file_of("x", 1), file_of("no program", 10));
    cr_assert(strstr(made.outcome.error.text, "banger-agent"), "%s", made.outcome.error.text);
}

/* Every truncation of a good image is refused, and none makes it read outside (ASan). */
Test(kernel_import, cut_images_are_refused) {
    static struct bytes image;
    char release[64];
    struct err e;
    vmlinux_make(&image, 18);
    bzimage_make(&image, archive_write_add_filter_xz, 1);
    for (size_t size = 0; size < image.size; size++) {
        struct kernel_blob blob = {.data = malloc(size + 1), .size = size};
        memcpy(blob.data, image.data, size);
        cr_assert_lt(kernel_vmlinux_take(&blob, release, sizeof release, &e), 0, "cut to %zu bytes", size);
        kernel_blob_free(&blob);
    }
}

/* apt-get download into the tests' folder, once. */
static int package_open(void) {
    glob_t found;
    if (glob(DEB_GLOB, 0, NULL, &found) == GLOB_NOMATCH) {
        (void) mkdir("/var/tmp/banger-tests", 0755);
        (void) !system("cd /var/tmp/banger-tests && name=$(apt-cache depends linux-image-cloud-amd64 2>&1 |"
                       " sed -n 's/.*Depends: \\(linux-image-[^ ]*\\)$/\\1/p') && [ -n \"$name\" ] &&"
                       " apt-get -qq download \"$name\" > /dev/null 2>&1");
        globfree(&found);
        if (glob(DEB_GLOB, 0, NULL, &found) != 0)
            return -1;
    }
    int fd = found.gl_pathc ? open(found.gl_pathv[0], O_RDONLY | O_CLOEXEC) : -1;
    globfree(&found);
    return fd;
}

/* Not under the real confinement: a sanitizer reserves more address space than that allows. */
Test(kernel_import, debian_package) {
    int input = package_open();
    if (input < 0)
        cr_skip_test("SKIP: no Debian cloud kernel package here, and it cannot be downloaded\n");
    char list[4096];
    struct made made = import(input, file_of("\177ELF agent", 10));
    cr_assert_eq(made.outcome.code, 0, "%s", made.outcome.error.text);
    cr_assert(strstr(made.outcome.report.release, "-cloud-amd64"), "%s", made.outcome.report.release);
    cr_assert_gt(made.outcome.report.size, 20u << 20);
    cpio_list(made.initrd, list, sizeof list);
    const char *last = list;
    static const char *const wanted[] = {"init 100755", "-virtio_mmio.ko", "-virtio_blk.ko", "-virtio_net.ko"};
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) {
        last = strstr(last, wanted[i]);
        cr_assert(last != NULL, "%s is missing or out of order in\n%s", wanted[i], list);
    }
}
