/* Fuzzed: the archive of a saved image, OCI's or docker's; on its own each document of one; and behind an 'F' a
 * layout's folder: files, each its name, NUL, two bytes of size, content. A name ending in '@' is a link.
 * 'T', a tag and a newline may come before an archive. */
#include "../unpriv/image/import/load.h"
#include "../unpriv/image/oci_manifest.h"
#include "image_check.h"

#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void as_documents(const char *text, size_t size) {
    struct oci_config config;
    struct oci_manifest manifest;
    struct oci_descriptor picked;
    struct err e = {0};
    if (oci_config_read(text, size, &config, &e) && !e.text[0])
        abort();
    (void) oci_platform_check(&config, "linux/arm64/v8", &e);
    oci_config_free(&config);
    (void) oci_manifest_read(text, size, &manifest, &e);
    oci_manifest_free(&manifest);
    (void) oci_is_index(text, size);
    (void) oci_index_pick(text, size, "", "latest", &picked, &e);
    (void) oci_index_pick(text, size, "linux/arm64/v8", "", &picked, &e);
}

/* One file of the folder; names lead nowhere else. */
static void put_file(int folder, char *name, const uint8_t *data, size_t size) {
    char text[256];
    const size_t length = strlen(name);
    if (length == 0 || length > 200 || name[0] == '/' || strstr(name, ".."))
        return;
    for (char *slash = strchr(name, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        (void) mkdirat(folder, name, 0700);
        *slash = '/';
    }
    if (name[length - 1] == '@') {
        (void) snprintf(text, sizeof(text), "%.*s", size < 200 ? (int) size : 200, (const char *) data);
        name[length - 1] = '\0';
        (void) symlinkat(text[0] ? text : "x", folder, name);
        return;
    }
    int fd = openat(folder, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd >= 0 && write(fd, data, size) != (ssize_t) size)
        abort();
    if (fd >= 0)
        (void) close(fd);
}

static void put_files(int folder, const uint8_t *data, size_t size) {
    char name[256];
    while (size > 0) {
        const uint8_t *end = memchr(data, 0, size);
        size_t length = end ? (size_t) (end - data) : size;
        if (!end || length >= sizeof(name) || size < length + 3)
            return;
        memcpy(name, data, length + 1);
        size_t content = (size_t) (end[1] | end[2] << 8);
        data += length + 3;
        size -= length + 3;
        content = content < size ? content : size;
        put_file(folder, name, data, content);
        data += content;
        size -= content;
    }
}

static int removed(const char *path, const struct stat *st, int kind, struct FTW *at) {
    (void) st;
    (void) kind;
    (void) at;
    return remove(path);
}

static void load(int in, const char *tag);

static void as_folder(const uint8_t *data, size_t size) {
    char path[] = "/dev/shm/banger-load-XXXXXX";
    int folder = mkdtemp(path) ? open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    if (folder < 0)
        abort();
    put_files(folder, data, size);
    load(folder, "");
    (void) nftw(path, removed, 16, FTW_DEPTH | FTW_PHYS);
}

static void load(int in, const char *tag) {
    struct import_plan plan = {.magic = IMPORT_PLAN_MAGIC, .mode = IMPORT_LOAD, .size = 32 << 20, .limit = 24 << 20};
    struct import_report report = {0};
    struct err e = {0};
    (void) snprintf(plan.tag, sizeof(plan.tag), "%s", tag);
    int image = memfd_create("image", MFD_CLOEXEC), config = memfd_create("config", MFD_CLOEXEC);
    int scratch = memfd_create("scratch", MFD_CLOEXEC);
    if (image < 0 || config < 0 || scratch < 0)
        abort();
    int r = load_image(&plan, in, image, config, scratch, &report, &e);
    if (r == 0)
        image_read_again(image);
    else if (e.code != -r || !e.text[0])
        abort(); /* a failure has its sentence */
    (void) close(in);
    (void) close(image);
    (void) close(config);
    (void) close(scratch);
}

/* What is neither file nor folder, and a file that cannot be read. */
static void unreadable(void) {
    char path[32];
    int ends[2], file = memfd_create("saved", MFD_CLOEXEC);
    (void) snprintf(path, sizeof(path), "/proc/self/fd/%d", file);
    if (file < 0 || pipe(ends))
        abort();
    (void) close(ends[1]);
    load(ends[0], "");
    load(open(path, O_WRONLY | O_CLOEXEC), "");
    (void) close(file);
}

/* The tag before the archive, if there is one; its bytes with the newline. */
static size_t take_tag(const uint8_t *data, size_t size, char tag[64]) {
    const uint8_t *end = size && data[0] == 'T' ? memchr(data, '\n', size < 64 ? size : 64) : NULL;
    (void) snprintf(tag, 64, "%.*s", end ? (int) (end - data - 1) : 0, (const char *) data + 1);
    return end ? (size_t) (end - data) + 1 : 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static int once;
    char tag[64];
    if (!once++)
        unreadable();
    if (size && data[0] == '{') {
        as_documents((const char *) data, size);
        return 0;
    }
    if (size && data[0] == 'F') {
        as_folder(data + 1, size - 1);
        return 0;
    }
    size_t skip = take_tag(data, size, tag);
    data += skip;
    size -= skip;
    int in = memfd_create("saved", MFD_CLOEXEC);
    if (in < 0 || write(in, data, size) != (ssize_t) size || lseek(in, 0, SEEK_SET))
        abort();
    load(in, tag);
    return 0;
}
