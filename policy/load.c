#include "policy.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

static int same_time(const struct timespec *a, const struct timespec *b) {
    return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

static int unchanged(const struct stat *a, const struct stat *b) {
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
           same_time(&a->st_mtim, &b->st_mtim) && same_time(&a->st_ctim, &b->st_ctim);
}

static int others_can_write(const struct stat *st) {
    return st->st_uid != 0 || (st->st_mode & (S_IWGRP | S_IWOTH));
}

/* The descriptor of `path`, opened from its folder, which is checked first. */
static int open_checked(const char *path, enum policy_reason *fault) {
    char folder[POLICY_PATH_SIZE];
    const char *slash = strrchr(path, '/');
    if (!slash || slash == path || (size_t) (slash - path) >= sizeof(folder)) {
        *fault = POLICY_UNSAFE;
        return -1;
    }
    memcpy(folder, path, (size_t) (slash - path));
    folder[slash - path] = '\0';
    int dir = open(folder, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (dir < 0) {
        *fault = errno == ENOENT ? POLICY_NO_FILE : POLICY_UNSAFE;
        return -1;
    }
    struct stat st;
    int fd = -1;
    if (fstat(dir, &st) || others_can_write(&st)) {
        *fault = POLICY_UNSAFE;
    } else {
        fd = openat(dir, slash + 1, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
        if (fd < 0)
            *fault = errno == ENOENT ? POLICY_NO_FILE : POLICY_UNSAFE;
    }
    (void) close(dir);
    return fd;
}

static enum policy_reason read_checked(struct policy_file *file, const char *path) {
    static char text[POLICY_BYTES_MAX + 1];
    enum policy_reason fault = POLICY_ALLOWED;
    int fd = open_checked(path, &fault);
    if (fd < 0)
        return fault;
    size_t have = 0;
    ssize_t n = 0;
    if (fstat(fd, &file->seen) || !S_ISREG(file->seen.st_mode) || others_can_write(&file->seen) ||
        file->seen.st_size > POLICY_BYTES_MAX)
        fault = POLICY_UNSAFE;
    while (fault == POLICY_ALLOWED && have < sizeof(text) && (n = read(fd, text + have, sizeof(text) - have)) > 0)
        have += (size_t) n;
    (void) close(fd);
    if (fault != POLICY_ALLOWED)
        return fault;
    if (n < 0 || have > POLICY_BYTES_MAX)
        return POLICY_UNSAFE;
    return policy_parse(&file->policy, text, have) ? POLICY_BAD_LINE : POLICY_ALLOWED;
}

void policy_refresh(struct policy_file *file, const char *path) {
    struct stat now;
    if (file->loaded && lstat(path, &now) == 0 && unchanged(&now, &file->seen))
        return;
    memset(&file->policy, 0, sizeof(file->policy));
    memset(&file->seen, 0, sizeof(file->seen));
    file->policy.fault = read_checked(file, path);
    /* A fault of the folder leaves nothing to compare: look again next time. */
    file->loaded = file->policy.fault == POLICY_ALLOWED || file->policy.fault == POLICY_BAD_LINE;
}
