#include "package.h"

#include "../../common/cleanup.h"
#include "../../common/io.h"
#include "../workspace/process.h"
#include "../workspace/scratch.h"
#include "kernel_folder.h"
#include "signals.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include <linux/fs.h>

#define KERNEL_PREFIX "linux-image-"
#define COPY_SIZE     65536

/* --- the kept copy ----------------------------------------------------------- */

static int kept_path(const struct paths *paths, const char *name, char out[PATH_MAX + 128]) {
    if (strchr(name, '/') || name[0] == '.')
        return -EINVAL;
    (void) snprintf(out, PATH_MAX + 128, "%s/kernels/%.100s", paths->cache, name);
    return 0;
}

int package_kept(const struct paths *paths, const char *name) {
    char path[PATH_MAX + 128];
    int r = kept_path(paths, name, path);
    if (r < 0)
        return r;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    return fd < 0 ? -errno : fd;
}

void package_forget(const struct paths *paths, const char *name) {
    char path[PATH_MAX + 128];
    if (kept_path(paths, name, path) == 0)
        (void) unlink(path);
}

/* The whole of `from`, wherever its offset is (copy_file_range(2) refuses some pairs of file systems). */
static int copy_all(int from, int to) {
    if (ioctl(to, FICLONE, from) == 0)
        return 0;
    cleanup_free char *buffer = malloc(COPY_SIZE);
    for (off_t at = 0; buffer;) {
        ssize_t n = pread(from, buffer, COPY_SIZE, at);
        if (n <= 0)
            return n < 0 ? -errno : 0;
        int r = io_write(to, buffer, (size_t) n);
        if (r < 0)
            return r;
        at += n;
    }
    return -ENOMEM;
}

/* The file that one that was killed has left is written anew; -1 while another writes it. */
static int open_fresh(const char *fresh) {
    struct stat st, named;
    cleanup_fd int to = open(fresh, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (to < 0 || flock(to, LOCK_EX | LOCK_NB) || fstat(to, &st) || stat(fresh, &named) || st.st_ino != named.st_ino ||
        ftruncate(to, 0))
        return -1;
    return take_fd(&to);
}

void package_keep(const struct paths *paths, const char *name, int fd) {
    char path[PATH_MAX + 128], fresh[PATH_MAX + 160], folder[PATH_MAX + 16];
    (void) snprintf(folder, sizeof(folder), "%s/kernels", paths->cache);
    if (kept_path(paths, name, path) < 0 || (mkdir(folder, 0700) < 0 && errno != EEXIST))
        return;
    (void) snprintf(fresh, sizeof(fresh), "%s/.%.100s.new", folder, name);
    cleanup_fd int to = open_fresh(fresh);
    if (to < 0)
        return;
    if (copy_all(fd, to) < 0 || rename(fresh, path) < 0)
        (void) unlink(fresh);
}

/* --- files and folders ------------------------------------------------------- */

static int open_regular(int dir, const char *path, struct err *e) {
    int fd = openat(dir, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    struct stat st;
    if (fd < 0)
        return err_sys(e, errno, "cannot open %s", path);
    if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode))
        return fd;
    (void) close(fd);
    return err_set(e, EINVAL, "%s is not a file: give a kernel package, a bzImage or a vmlinux", path);
}

static int is_kernel_name(const char *name) {
    size_t length = strlen(name);
    return strncmp(name, "vmlinu", 6) == 0 || strcmp(name, "bzImage") == 0 ||
           (strncmp(name, KERNEL_PREFIX, strlen(KERNEL_PREFIX)) == 0 && length > 4 &&
            strcmp(name + length - 4, ".deb") == 0);
}

/* The one kernel in a folder. */
static int open_in_folder(const char *folder, struct err *e) {
    DIR *dir = opendir(folder);
    if (!dir)
        return err_sys(e, errno, "cannot read %s", folder);
    char found[NAME_MAX + 1] = "";
    int count = 0;
    for (const struct dirent *d; (d = readdir(dir));) {
        if (!is_kernel_name(d->d_name))
            continue;
        (void) snprintf(found, sizeof(found), "%s", d->d_name);
        count++;
    }
    int r = count == 1 ? open_regular(dirfd(dir), found, e)
                       : err_set(e, EINVAL, "%s has %s kernel in it: give the file's own path", folder,
                                 count ? "more than one" : "no");
    (void) closedir(dir);
    return r;
}

/* --- packages ---------------------------------------------------------------- */

static int is_package_name(const char *name) {
    if (!isalnum((unsigned char) *name))
        return 0;
    for (const char *p = name; *p; p++) {
        if (!islower((unsigned char) *p) && !isdigit((unsigned char) *p) && !strchr("+-.", *p))
            return 0;
    }
    return strlen(name) < 100;
}

/* A metapackage's kernel package, from `apt-cache depends`; else the name itself. */
static void follow(const char *name, char out[128]) {
    const char *const argv[] = {"apt-cache", "depends", name, NULL};
    struct process p = {.argv = argv};
    struct process_output o;
    (void) snprintf(out, 128, "%s", name);
    if (process_run(&p, NULL, 0, &o, NULL) < 0)
        return;
    const char *at = strstr(o.out, "Depends: " KERNEL_PREFIX);
    if (at && o.status == 0)
        (void) snprintf(out, 128, "%.*s", (int) strcspn(at + 9, "\n"), at + 9);
    process_output_free(&o);
}

static int was_interrupted(void) {
    for (int number; (number = signals_next());)
        signals_note(number);
    return signals_ending();
}

static int download(const char *package, const char *folder, struct err *e) {
    const char *const argv[] = {"apt-get", "-q", "-o", "APT::Sandbox::User=root", "download", package, NULL};
    struct process p = {.argv = argv, .cwd = folder};
    struct process_output o;
    int r = process_run(&p, NULL, 0, &o, e);
    if (r < 0)
        return r;
    if (was_interrupted())
        r = -EINTR;
    else if (o.status != 0)
        r = err_set(e, EIO,
                    "cannot download the package %s: apt-get says: %s (have the administrator run `apt-get update`, "
                    "or give a file with --from)",
                    package, process_last_line(o.err));
    process_output_free(&o);
    return r;
}

static int open_package(const struct paths *paths, const char *name, struct err *e) {
    if (!is_package_name(name))
        return err_set(e, ENOENT, "%s is neither a file, a folder nor a package's name: give one of those with --from",
                       name);
    char folder[PATH_MAX], package[128];
    int lock = -1;
    (void) signals_open(); /* from here on an interrupt must not leave the folder behind */
    int r = scratch_make(paths->cache, "package", folder, &lock, e);
    if (r < 0)
        return r;
    follow(name, package);
    r = download(package, folder, e);
    if (r == 0)
        r = open_in_folder(folder, e);
    scratch_remove(folder, lock);
    return r;
}

static int open_folder(const struct paths *paths, const char *path, struct err *e) {
    cleanup_fd int root = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (root < 0)
        return err_sys(e, errno, "cannot read %s", path);
    int fd = kernel_folder_pack(root, path, paths->cache, e);
    return fd ? fd : open_in_folder(path, e);
}

int package_open(const struct paths *paths, const char *from, const char *modules, struct err *e) {
    struct stat st;
    if (modules)
        return kernel_folder_pair(from, modules, paths->cache, e);
    if (stat(from, &st) < 0)
        return open_package(paths, from, e);
    return S_ISDIR(st.st_mode) ? open_folder(paths, from, e) : open_regular(AT_FDCWD, from, e);
}
