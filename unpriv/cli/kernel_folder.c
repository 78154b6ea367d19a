#include "kernel_folder.h"

#include "../../common/cleanup.h"
#include "../kernel/import/wanted.h"

#include <archive.h>
#include <archive_entry.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#define RELEASE_MAX 64
#define FILE_MAX    (256ll << 20) /* of any of its files, as the importer has it */
#define DEPTH_MAX   16            /* folders below lib/modules/RELEASE */
#define BUFFER_SIZE 65536
#define FILE_FLAGS  (O_RDONLY | O_NONBLOCK | O_NOCTTY) /* nothing waits for a pipe's other end */

/* What was found, and where it goes. */
struct folder {
    int root;
    const char *path;
    char kernel[PATH_MAX]; /* inside the root */
    char release[RELEASE_MAX];
    char other[RELEASE_MAX]; /* of a second kernel, "" when there is one alone */
    struct archive *archive;
    int build;        /* the root is the folder that it was built in */
    unsigned modules; /* files of them that went into the tar */
};

/* For reading, inside the root, wherever links in it point. A descriptor or a negative errno. */
static int open_inside(int root, const char *path, uint64_t flags) {
    struct open_how how = {.flags = flags | O_CLOEXEC, .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS};
    int fd = (int) syscall(SYS_openat2, root, path, &how, sizeof how);
    return fd < 0 ? -errno : fd;
}

static int is_there(int root, const char *path) {
    cleanup_fd int fd = open_inside(root, path, O_PATH);
    return fd >= 0;
}

/* --- which kernel ---------------------------------------------------------------- */

static int is_release(const char *text) {
    static const char good[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._+~-";
    size_t length = strlen(text);
    return length > 0 && length < RELEASE_MAX && text[0] != '.' && strspn(text, good) == length;
}

/* Notes a kernel; the first of each release counts. */
static void found(struct folder *f, const char *path, const char *release) {
    if (!is_release(release) || strcmp(f->release, release) == 0)
        return;
    if (f->release[0]) {
        (void) snprintf(f->other, sizeof f->other, "%s", release);
        return;
    }
    (void) snprintf(f->release, sizeof f->release, "%s", release);
    (void) snprintf(f->kernel, sizeof f->kernel, "%s", path);
}

static DIR *list_inside(int root, const char *path) {
    int fd = open_inside(root, path, O_DIRECTORY);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    if (!dir && fd >= 0)
        (void) close(fd);
    return dir;
}

/* boot/vmlinuz-RELEASE and boot/vmlinux-RELEASE. */
static void find_in_boot(struct folder *f) {
    char path[NAME_MAX + 16];
    DIR *dir = list_inside(f->root, "boot");
    for (const struct dirent *d; dir && (d = readdir(dir));) {
        if (strncmp(d->d_name, "vmlinuz-", 8) != 0 && strncmp(d->d_name, "vmlinux-", 8) != 0)
            continue;
        (void) snprintf(path, sizeof path, "boot/%s", d->d_name);
        found(f, path, d->d_name + 8);
    }
    if (dir)
        (void) closedir(dir);
}

/* lib/modules/RELEASE/vmlinuz. */
static void find_in_modules(struct folder *f, const char *modules) {
    char path[NAME_MAX + 48];
    DIR *dir = list_inside(f->root, modules);
    for (const struct dirent *d; dir && (d = readdir(dir));) {
        (void) snprintf(path, sizeof path, "%s/%s/vmlinuz", modules, d->d_name);
        if (is_there(f->root, path))
            found(f, path, d->d_name);
    }
    if (dir)
        (void) closedir(dir);
}

static int find_in_tree(struct folder *f, struct err *e) {
    find_in_boot(f);
    find_in_modules(f, "lib/modules");
    find_in_modules(f, "usr/lib/modules");
    if (!f->release[0])
        return err_set(e, ENOENT,
                       "%s has no kernel in it, neither as boot/vmlinuz-RELEASE nor as lib/modules/RELEASE/vmlinuz",
                       f->path);
    if (f->other[0])
        return err_set(e, EINVAL,
                       "%s has more than one kernel in it, %s and %s: give a package of the one, or a folder with it "
                       "alone",
                       f->path, f->release, f->other);
    return 0;
}

/* The first line of a file, without its end; 0 when there is none of that length. */
static int line_of(int root, const char *path, char *text, size_t size) {
    cleanup_fd int fd = open_inside(root, path, FILE_FLAGS);
    ssize_t got = fd < 0 ? -1 : read(fd, text, size - 1);
    text[got > 0 ? got : 0] = '\0';
    text[strcspn(text, "\n")] = '\0';
    return text[0] != '\0';
}

/* 1 when a kernel was built there. */
static int find_build(struct folder *f) {
    static const char *const images[] = {"arch/x86/boot/bzImage", "vmlinux"};
    char release[RELEASE_MAX];
    if (!line_of(f->root, "include/config/kernel.release", release, sizeof release))
        return 0;
    for (size_t i = 0; i < 2 && !f->release[0]; i++)
        if (is_there(f->root, images[i]))
            found(f, images[i], release);
    return f->release[0] != '\0';
}

/* --- the tar --------------------------------------------------------------------- */

static int copy(struct folder *f, const char *name, int fd, off_t size, struct err *e) {
    char buffer[BUFFER_SIZE];
    while (size > 0) {
        ssize_t got = read(fd, buffer, size < BUFFER_SIZE ? (size_t) size : BUFFER_SIZE);
        if (got <= 0)
            return err_set(e, got < 0 ? errno : EIO, "%s in %s cannot be read to its end", name, f->path);
        if (archive_write_data(f->archive, buffer, (size_t) got) != got)
            return err_sys(e, archive_errno(f->archive), "cannot write what was found in %s", f->path);
        size -= got;
    }
    return 0;
}

/* Adds the open file, which it closes, as `name`. */
static int add(struct folder *f, const char *name, int open_fd, struct err *e) {
    cleanup_fd int fd = open_fd;
    struct stat st;
    if (fd < 0 || fstat(fd, &st) < 0)
        return err_sys(e, fd < 0 ? -fd : errno, "cannot open what becomes %s in %s", name, f->path);
    if (!S_ISREG(st.st_mode) || st.st_size > FILE_MAX)
        return err_set(e, EINVAL, "what becomes %s in %s is no file of at most %lld bytes", name, f->path, FILE_MAX);
    struct archive_entry *entry = archive_entry_new();
    if (!entry)
        return err_set(e, ENOMEM, "there is not enough memory to read %s", f->path);
    archive_entry_set_pathname(entry, name);
    archive_entry_set_filetype(entry, AE_IFREG);
    archive_entry_set_perm(entry, 0644);
    archive_entry_set_size(entry, st.st_size);
    int r = archive_write_header(f->archive, entry);
    archive_entry_free(entry);
    if (r != ARCHIVE_OK)
        return err_sys(e, archive_errno(f->archive), "cannot write what was found in %s", f->path);
    return copy(f, name, fd, st.st_size, e);
}

/* Adds a file of modules: a module that a VM wants, the list of what is built in; else nothing. */
static int add_module(struct folder *f, const char *file, int fd, struct err *e) {
    char name[NAME_MAX + 128];
    int module = kernel_module_index(file) >= 0;
    if (!module && strcmp(file, "modules.builtin") != 0) {
        (void) close(fd);
        return 0;
    }
    (void) snprintf(name, sizeof name, "lib/modules/%s/%s%s", f->release, module ? "kernel/" : "", file);
    f->modules++;
    return add(f, name, fd, e);
}

/* Everything below the open folder, which it closes. Links are not followed: `build` and `source` lead elsewhere. */
static int add_below(struct folder *f, int fd, unsigned depth, struct err *e) { // NOLINT(misc-no-recursion)
    DIR *dir = fdopendir(fd);
    int r = 0;
    if (!dir) {
        (void) close(fd);
        return err_sys(e, errno, "cannot read the modules in %s", f->path);
    }
    for (const struct dirent *d; r == 0 && (d = readdir(dir));) {
        struct stat st;
        if (d->d_name[0] == '.' || fstatat(dirfd(dir), d->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
            continue;
        int sub = S_ISDIR(st.st_mode) && depth > 0, file = S_ISREG(st.st_mode);
        int inner = sub || file
                        ? openat(dirfd(dir), d->d_name, FILE_FLAGS | O_CLOEXEC | O_NOFOLLOW | (sub ? O_DIRECTORY : 0))
                        : -1;
        if (inner >= 0)
            r = sub ? add_below(f, inner, depth - 1, e) : add_module(f, d->d_name, inner, e);
    }
    (void) closedir(dir);
    return r;
}

static int add_tree(struct folder *f, struct err *e) {
    char path[RELEASE_MAX + 32];
    int fd = -1;
    for (int usr = 0; usr < 2 && fd < 0; usr++) {
        (void) snprintf(path, sizeof path, "%slib/modules/%s", usr ? "usr/" : "", f->release);
        fd = open_inside(f->root, path, O_DIRECTORY);
    }
    return fd < 0 ? 0 : add_below(f, fd, DEPTH_MAX, e); /* a kernel alone may have all built in */
}

/* A line of modules.order: "kernel/fs/ext4/ext4.ko", of newer kernels "fs/ext4/ext4.o". */
static int add_ordered(struct folder *f, const char *line, struct err *e) {
    char path[PATH_MAX];
    int length = (int) strcspn(line, "\n");
    int object = length > 2 && strncmp(line + length - 2, ".o", 2) == 0;
    (void) snprintf(path, sizeof path, "%.*s%s", object ? length - 2 : length, line, object ? ".ko" : "");
    if (kernel_module_index(path) < 0)
        return 0;
    const char *slash = strrchr(path, '/');
    const char *inside = strncmp(path, "kernel/", 7) == 0 && is_there(f->root, path + 7) ? path + 7 : path;
    return add_module(f, slash ? slash + 1 : path, open_inside(f->root, inside, FILE_FLAGS), e);
}

static int add_build(struct folder *f, struct err *e) {
    int fd = open_inside(f->root, "modules.builtin", FILE_FLAGS);
    int r = fd < 0 ? 0 : add_module(f, "modules.builtin", fd, e);
    fd = open_inside(f->root, "modules.order", FILE_FLAGS);
    FILE *order = fd < 0 ? NULL : fdopen(fd, "r");
    char line[PATH_MAX];
    while (r == 0 && order && fgets(line, sizeof line, order))
        r = add_ordered(f, line, e);
    if (order)
        (void) fclose(order);
    return r;
}

/* What was found in the root or build folder. */
static int add_found(struct folder *f, struct err *e) {
    char name[RELEASE_MAX + 16];
    (void) snprintf(name, sizeof name, "boot/vmlinuz-%s", f->release);
    int r = add(f, name, open_inside(f->root, f->kernel, FILE_FLAGS), e);
    return r < 0 ? r : f->build ? add_build(f, e) : add_tree(f, e);
}

/* A kernel's file, and the folder of its modules as the root. */
static int add_pair(struct folder *f, struct err *e) {
    const char *modules = f->path;
    int fd = open(f->kernel, FILE_FLAGS | O_CLOEXEC);
    if (fd < 0)
        return err_sys(e, errno, "cannot open the kernel %s", f->kernel);
    f->path = f->kernel; /* for what may be wrong with it */
    int r = add(f, "boot/vmlinuz-given", fd, e);
    f->path = modules;
    if (r < 0)
        return r;
    fd = fcntl(f->root, F_DUPFD_CLOEXEC, 3);
    r = fd < 0 ? err_sys(e, errno, "cannot read %s", f->path) : add_below(f, fd, DEPTH_MAX, e);
    if (r == 0 && f->modules == 0)
        r = err_set(e, ENOENT,
                    "%s has neither a modules.builtin nor a module that a VM wants: give the kernel's folder of "
                    "modules, as in /lib/modules/RELEASE",
                    f->path);
    return r;
}

static int write_tar(struct folder *f, int (*add_all)(struct folder *f, struct err *e), int to, struct err *e) {
    f->archive = archive_write_new();
    if (!f->archive)
        return err_set(e, ENOMEM, "there is not enough memory to read %s", f->path);
    (void) archive_write_set_format_ustar(f->archive);
    int r = archive_write_open_fd(f->archive, to) == ARCHIVE_OK
                ? 0
                : err_sys(e, archive_errno(f->archive), "cannot write what was found in %s", f->path);
    if (r == 0)
        r = add_all(f, e);
    if (r == 0 && archive_write_close(f->archive) != ARCHIVE_OK)
        r = err_sys(e, archive_errno(f->archive), "cannot write what was found in %s", f->path);
    (void) archive_write_free(f->archive);
    return r;
}

/* A tar in a file without a name. */
static int pack(struct folder *f, int (*add_all)(struct folder *f, struct err *e), const char *cache, struct err *e) {
    char temporary[PATH_MAX];
    (void) snprintf(temporary, sizeof temporary, "%s/folder.XXXXXX", cache);
    cleanup_fd int fd = mkostemp(temporary, O_CLOEXEC);
    if (fd < 0 || unlink(temporary) < 0)
        return err_sys(e, errno, "cannot make a file in %s", cache);
    int r = write_tar(f, add_all, fd, e);
    if (r == 0 && lseek(fd, 0, SEEK_SET) < 0)
        r = err_sys(e, errno, "cannot read what was found in %s again", f->path);
    return r < 0 ? r : take_fd(&fd);
}

int kernel_folder_pack(int root, const char *path, const char *cache, struct err *e) {
    struct folder f = {.root = root, .path = path};
    f.build = find_build(&f);
    if (!f.build && !is_there(root, "boot") && !is_there(root, "lib/modules") && !is_there(root, "usr/lib/modules"))
        return 0;
    int r = f.build ? 0 : find_in_tree(&f, e);
    return r < 0 ? r : pack(&f, add_found, cache, e);
}

int kernel_folder_pair(const char *kernel, const char *modules, const char *cache, struct err *e) {
    struct folder f = {.path = modules, .release = "given"};
    cleanup_fd int root = open(modules, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (root < 0)
        return err_sys(e, errno, "cannot read the folder of modules %s", modules);
    f.root = root;
    if ((size_t) snprintf(f.kernel, sizeof f.kernel, "%s", kernel) >= sizeof f.kernel)
        return err_set(e, ENAMETOOLONG, "the kernel's path is longer than %zu bytes", sizeof f.kernel - 1);
    return pack(&f, add_pair, cache, e);
}
