#include "tree_made.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#define PREFIX  ".banger-cp-"
#define DIGITS  16
#define AT_ONCE 64

void tree_made_name(char name[TREE_MADE_SIZE]) {
    uint64_t random = 0;
    while (getrandom(&random, sizeof(random), 0) != (ssize_t) sizeof(random))
        continue;
    (void) snprintf(name, TREE_MADE_SIZE, PREFIX "%016llx", (unsigned long long) random);
}

int tree_made_hold(int file) {
    struct stat st;
    while (flock(file, LOCK_EX) && errno == EINTR)
        continue; /* where there are no locks, nobody has one to take it for left either */
    return fstat(file, &st) == 0 && st.st_nlink == 0 ? -ESTALE : 0;
}

static int is_made_name(const char *name) {
    const size_t prefix = strlen(PREFIX);
    return strncmp(name, PREFIX, prefix) == 0 && strlen(name) == prefix + DIGITS &&
           strspn(name + prefix, "0123456789abcdef") == DIGITS;
}

/* One that is held stays. */
static void sweep_file(int dir, const char *name) {
    const int flags = O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;
    int file = openat(dir, name, O_WRONLY | flags); /* NFS locks nothing else exclusively */
    if (file < 0 && errno == EACCES)
        file = openat(dir, name, O_RDONLY | flags);
    if (file < 0)
        return;
    if (flock(file, LOCK_EX | LOCK_NB) == 0)
        (void) unlinkat(dir, name, 0);
    (void) close(file);
}

static void sweep_one(int dir, const char *name) {
    struct stat st;
    if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) || st.st_uid != geteuid() || st.st_nlink != 1)
        return;
    if (S_ISREG(st.st_mode))
        sweep_file(dir, name);
    else if (S_ISLNK(st.st_mode))
        (void) unlinkat(dir, name, 0);
}

/* All that are there are looked for first: whoever makes another link in place of one that went is not met again. */
void tree_made_sweep(int dir) {
    char names[AT_ONCE][TREE_MADE_SIZE];
    size_t count = 0;
    int again = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *list = again < 0 ? NULL : fdopendir(again);
    if (!list && again >= 0)
        (void) close(again);
    for (const struct dirent *entry; list && count < AT_ONCE && (entry = readdir(list));) {
        if (is_made_name(entry->d_name))
            memcpy(names[count++], entry->d_name, strlen(entry->d_name) + 1);
    }
    if (list)
        (void) closedir(list);
    while (count > 0)
        sweep_one(dir, names[--count]);
}
