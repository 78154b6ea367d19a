#include "source.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/syscall.h>
#include <unistd.h>

int source_open(struct source *s, const char *root, struct err *e) {
    memset(s, 0, sizeof(*s));
    s->parent = -1;
    s->root = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
    return s->root < 0 ? err_sys(e, errno, "cannot open %s", root) : 0;
}

void source_close(struct source *s) {
    if (s->parent >= 0)
        (void) close(s->parent);
    if (s->root >= 0)
        (void) close(s->root);
    s->root = s->parent = -1;
}

/* 1 for a path that git itself would never put into an index. */
static int path_bad(const char *path) {
    if (!*path || *path == '/')
        return 1;
    for (const char *part = path; part; part = strchr(part, '/')) {
        part += *part == '/';
        size_t length = strcspn(part, "/");
        if (length == 0 || (length == 1 && part[0] == '.') || (length == 2 && strncmp(part, "..", 2) == 0) ||
            (length == 4 && strncasecmp(part, ".git", 4) == 0))
            return 1;
    }
    return 0;
}

/* Opens the folder of `path` below the root, in one call (openat2(2)). */
static int enter(struct source *s, const char *path) {
    const char *slash = strrchr(path, '/');
    size_t length = slash ? (size_t) (slash - path) : 0;
    s->base = slash ? slash + 1 : path;
    if (length >= sizeof(s->folder))
        return -ENAMETOOLONG;
    if (s->parent >= 0 && strlen(s->folder) == length && memcmp(s->folder, path, length) == 0)
        return 0;
    if (s->parent >= 0)
        (void) close(s->parent);
    memcpy(s->folder, path, length);
    s->folder[length] = 0;
    struct open_how how = {.flags = O_PATH | O_DIRECTORY | O_CLOEXEC,
                           .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS};
    s->parent = (int) syscall(SYS_openat2, s->root, length ? s->folder : ".", &how, sizeof(how));
    return s->parent < 0 ? -errno : 0;
}

int source_stat(struct source *s, const char *path, struct stat *st, struct err *e) {
    if (path_bad(path))
        return err_set(e, EINVAL,
                       "the repository lists the path %s, which git does not allow: it is damaged or hostile", path);
    int r = enter(s, path);
    if (r == 0 && fstatat(s->parent, s->base, st, AT_SYMLINK_NOFOLLOW) < 0)
        r = -errno;
    if (r == -ENOENT || r == -ENOTDIR || r == -ELOOP)
        return -ENOENT;
    if (r < 0)
        return err_sys(e, -r, "cannot read %s", path);
    if (S_ISDIR(st->st_mode))
        return -ENOENT;
    if (!S_ISREG(st->st_mode) && !S_ISLNK(st->st_mode))
        return err_set(e, EINVAL, "%s is a device, a socket or a pipe, which a workspace cannot hold: remove it", path);
    return 0;
}

int source_open_file(struct source *s, const char *path, struct stat *st, struct err *e) {
    int fd = openat(s->parent, s->base, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (fd < 0)
        return err_sys(e, errno, "cannot read %s", path);
    if (fstat(fd, st) == 0 && S_ISREG(st->st_mode))
        return fd;
    (void) close(fd);
    return err_set(e, EINVAL, "%s was replaced while it was read: run the command again", path);
}
