/* The initramfs, written and read back by libarchive's cpio reader: the same names, modes and contents in the same
 * order, and the same bytes again. The input: how many modules, then pieces of agent and modules, each behind its
 * size in two bytes. */
#include "../unpriv/kernel/import/kernel.h"

#include <archive.h>
#include <archive_entry.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MUST(condition)                                                                                                \
    do {                                                                                                               \
        if (!(condition))                                                                                              \
            abort();                                                                                                   \
    } while (0)

/* The next piece of the input. */
static struct kernel_blob piece(const uint8_t **data, size_t *size) {
    struct kernel_blob blob = {0};
    size_t want = *size < 2 ? 0 : (size_t) (*data)[0] << 8 | (*data)[1];
    size_t skip = *size < 2 ? *size : 2;
    *data += skip;
    *size -= skip;
    want = want < *size ? want : *size;
    MUST(kernel_blob_add(&blob, *data, want, SIZE_MAX) == 0);
    *data += want;
    *size -= want;
    return blob;
}

/* The next entry is that, with that content. */
static void expect(struct archive *reader, const char *name, mode_t mode, const struct kernel_blob *content) {
    struct archive_entry *entry = NULL;
    MUST(archive_read_next_header(reader, &entry) == ARCHIVE_OK);
    MUST(strcmp(archive_entry_pathname(entry), name) == 0 && archive_entry_mode(entry) == mode);
    MUST(archive_entry_uid(entry) == 0 && archive_entry_gid(entry) == 0 && archive_entry_mtime(entry) == 0);
    MUST((uint64_t) archive_entry_size(entry) == (content ? content->size : 0));
    if (S_ISCHR(mode))
        MUST(archive_entry_rdevmajor(entry) == 5 && archive_entry_rdevminor(entry) == 1);
    if (content && content->size) {
        uint8_t *back = malloc(content->size);
        MUST(back && archive_read_data(reader, back, content->size) == (la_ssize_t) content->size);
        MUST(memcmp(back, content->data, content->size) == 0);
        free(back);
    }
}

static void read_back(int fd, const struct kernel_blob *agent, const struct kernel_package *package, const int *order,
                      int count) {
    struct archive *reader = archive_read_new();
    struct archive_entry *entry = NULL;
    char name[128];
    MUST(reader && archive_read_support_format_cpio(reader) == ARCHIVE_OK);
    MUST(lseek(fd, 0, SEEK_SET) == 0 && archive_read_open_fd(reader, fd, 4096) == ARCHIVE_OK);
    expect(reader, "dev", S_IFDIR | 0755, NULL);
    expect(reader, "dev/console", S_IFCHR | 0600, NULL);
    expect(reader, "init", S_IFREG | 0755, agent);
    if (count > 0)
        expect(reader, "modules", S_IFDIR | 0755, NULL);
    for (int i = 0; i < count; i++) {
        (void) snprintf(name, sizeof name, "modules/%02d-%s.ko", i, kernel_module_name(order[i]));
        expect(reader, name, S_IFREG | 0644, &package->module[order[i]]);
    }
    MUST(archive_read_next_header(reader, &entry) == ARCHIVE_EOF);
    (void) archive_read_free(reader);
}

static int write_out(const struct kernel_blob *agent, const struct kernel_package *package, const int *order, int count,
                     uint64_t *size) {
    struct err e;
    int fd = memfd_create("initramfs", MFD_CLOEXEC);
    MUST(fd >= 0 && kernel_initramfs_write(fd, agent, package, order, count, size, &e) == 0);
    MUST(lseek(fd, 0, SEEK_END) == (off_t) *size && *size % 512 == 0);
    return fd;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct kernel_package package = {0};
    int order[KERNEL_MODULES_MAX];
    uint64_t first = 0, second = 0;
    if (size < 2)
        return 0;
    int count = data[0] % (kernel_modules_wanted + 1), from = data[1];
    data += 2;
    size -= 2;
    struct kernel_blob agent = piece(&data, &size);
    for (int i = 0; i < count; i++) {
        order[i] = (from + i) % kernel_modules_wanted;
        package.module[order[i]] = piece(&data, &size);
    }
    int one = write_out(&agent, &package, order, count, &first);
    int two = write_out(&agent, &package, order, count, &second);
    read_back(one, &agent, &package, order, count);
    MUST(first == second);
    (void) close(one);
    (void) close(two);
    kernel_package_free(&package);
    kernel_blob_free(&agent);
    return 0;
}
