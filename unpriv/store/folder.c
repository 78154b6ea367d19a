#include "folder.h"

#include "../../common/cleanup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#define NAME_SIZE 300

static void cleanup_dir_fn(DIR **dir) {
    if (*dir)
        (void) closedir(*dir);
}
#define cleanup_dir __attribute__((cleanup(cleanup_dir_fn)))

static void temporary_name(char out[NAME_SIZE], const char *id) {
    (void) snprintf(out, NAME_SIZE, "%s.tmp", id);
}

void folder_new_id(char id[FOLDER_ID_SIZE]) {
    uint64_t random = 0;
    while (getrandom(&random, sizeof(random), 0) != (ssize_t) sizeof(random))
        continue;
    (void) snprintf(id, FOLDER_ID_SIZE, "%016llx", (unsigned long long) random);
}

static int open_folder(int parent, const char *name) {
    int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

int folder_open(int state, const char *name) {
    if (mkdirat(state, name, 0700) && errno != EEXIST)
        return -errno;
    return open_folder(state, name);
}

int folder_begin(int parent, const char *id) {
    char name[NAME_SIZE];
    temporary_name(name, id);
    if (mkdirat(parent, name, 0700))
        return -errno;
    return open_folder(parent, name);
}

/* A second descriptor on the folder: closedir closes the one it was given. */
static DIR *list(int folder) {
    int fd = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return NULL;
    DIR *dir = fdopendir(fd);
    if (!dir)
        (void) close(fd);
    return dir;
}

static int is_dots(const char *name) {
    return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

static int sync_all(int folder) {
    cleanup_dir DIR *dir = list(folder);
    if (!dir)
        return -errno;
    for (struct dirent *entry = readdir(dir); entry; entry = readdir(dir)) {
        if (is_dots(entry->d_name))
            continue;
        cleanup_fd int fd = openat(folder, entry->d_name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0 || fsync(fd))
            return -errno;
    }
    return fsync(folder) ? -errno : 0;
}

/* One step where the file system can exchange two names (not NFS); else two, and
 * what a crash leaves between them is the old folder under the temporary name. */
static int replace(int parent, const char *fresh, const char *id) {
    if (renameat2(parent, fresh, parent, id, RENAME_EXCHANGE) == 0)
        return 0;
    if (errno != EINVAL && errno != ENOSYS && errno != EPERM)
        return -errno;
    char old[NAME_SIZE];
    (void) snprintf(old, sizeof(old), "%s.old", id);
    (void) folder_remove(parent, old);
    if (renameat(parent, id, parent, old))
        return -errno;
    if (renameat(parent, fresh, parent, id)) {
        int r = -errno;
        (void) renameat(parent, old, parent, id);
        return r;
    }
    (void) folder_remove(parent, old);
    return 0;
}

int folder_restore(int parent, const char *id) {
    char old[NAME_SIZE];
    (void) snprintf(old, sizeof(old), "%s.old", id);
    return renameat2(parent, old, parent, id, RENAME_NOREPLACE) && errno == EEXIST ? -errno : 0;
}

int folder_commit(int parent, const char *id) {
    char fresh[NAME_SIZE];
    temporary_name(fresh, id);
    cleanup_fd int folder = open_folder(parent, fresh);
    int r = folder < 0 ? folder : sync_all(folder);
    if (r == 0 && faccessat(parent, id, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
        r = replace(parent, fresh, id);
    else if (r == 0 && renameat(parent, fresh, parent, id))
        r = -errno;
    if (r == 0 && fsync(parent))
        r = -errno;
    (void) folder_discard(parent, id);
    return r;
}

/* Gives the folder back its 0700, whatever the VMM left; through O_PATH, since
 * chmod by name follows symbolic links. */
static int unlock(int parent, const char *name) {
    cleanup_fd int node = openat(parent, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    char path[64];
    (void) snprintf(path, sizeof(path), "/proc/self/fd/%d", node);
    return node < 0 || chmod(path, 0700) ? -errno : 0;
}

/* Moves what is in <folder>/<name> up into `folder`, so that the tree gets flatter
 * pass by pass: no recursion, however deep a hostile VMM has nested its folder. */
static int hoist(int folder, const char *name, unsigned long *counter) {
    (void) unlock(folder, name);
    cleanup_fd int inner = open_folder(folder, name);
    if (inner < 0)
        return inner;
    cleanup_dir DIR *dir = list(inner);
    if (!dir)
        return -errno;
    for (struct dirent *entry = readdir(dir); entry; entry = readdir(dir)) {
        if (is_dots(entry->d_name) || unlinkat(inner, entry->d_name, 0) == 0 ||
            unlinkat(inner, entry->d_name, AT_REMOVEDIR) == 0)
            continue;
        (void) unlock(inner, entry->d_name);
        char to[NAME_SIZE];
        do {
            (void) snprintf(to, sizeof(to), ".%lu", (*counter)++);
        } while (faccessat(folder, to, F_OK, AT_SYMLINK_NOFOLLOW) == 0);
        if (renameat(inner, entry->d_name, folder, to))
            return -errno;
    }
    return unlinkat(folder, name, AT_REMOVEDIR) && errno != ENOTEMPTY ? -errno : 0;
}

/* One pass over a folder: 1 when it found something, 0 when the folder is empty. */
static int flatten(int folder, unsigned long *counter) {
    cleanup_dir DIR *dir = list(folder);
    if (!dir)
        return -errno;
    int found = 0;
    for (struct dirent *entry = readdir(dir); entry; entry = readdir(dir)) {
        if (is_dots(entry->d_name))
            continue;
        found = 1;
        if (unlinkat(folder, entry->d_name, 0) == 0 || unlinkat(folder, entry->d_name, AT_REMOVEDIR) == 0)
            continue;
        int r = errno == ENOTEMPTY || errno == EEXIST ? hoist(folder, entry->d_name, counter) : -errno;
        if (r)
            return r;
    }
    return found;
}

int folder_remove(int parent, const char *name) {
    if (unlinkat(parent, name, 0) == 0 || errno == ENOENT)
        return 0;
    if (errno != EISDIR)
        return -errno;
    (void) unlock(parent, name);
    cleanup_fd int folder = open_folder(parent, name);
    if (folder < 0)
        return folder;
    unsigned long counter = 0;
    int r;
    do {
        r = flatten(folder, &counter);
    } while (r > 0);
    if (r < 0)
        return r;
    return unlinkat(parent, name, AT_REMOVEDIR) && errno != ENOENT ? -errno : 0;
}

int folder_discard(int parent, const char *id) {
    char name[NAME_SIZE];
    temporary_name(name, id);
    return folder_remove(parent, name);
}

int folder_sweep(int parent, int (*known)(const char *name, void *arg), void *arg) {
    cleanup_dir DIR *dir = list(parent);
    if (!dir)
        return -errno;
    int removed = 0;
    for (struct dirent *entry = readdir(dir); entry; entry = readdir(dir)) {
        if (is_dots(entry->d_name) || known(entry->d_name, arg))
            continue;
        int r = folder_remove(parent, entry->d_name);
        if (r)
            return r;
        removed++;
    }
    return removed;
}
