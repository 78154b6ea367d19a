/* A tree as it comes out of a guest: whatever the bytes are, nothing but files, links and
 * folders below the one place is made, none of them has a set-id bit, no half file is left; and
 * what was taken whole can be sent and taken again. */
#include "../common/tree.h"

#include <dirent.h>
#include <fcntl.h>
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

static void ignore(void *arg, const char *path, int code) {
    (void) arg;
    MUST(path && code >= 0);
}

/* Looks at what is there and removes it. */
static void empty(int dir, int depth) {
    DIR *list = fdopendir(dir);
    MUST(list && depth <= TREE_DEPTH_MAX + 2);
    for (const struct dirent *entry; (entry = readdir(list));) {
        struct stat st;
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        MUST(fstatat(dirfd(list), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0);
        MUST(S_ISREG(st.st_mode) || S_ISDIR(st.st_mode) || S_ISLNK(st.st_mode));
        MUST((st.st_mode & 07000) == 0 && (depth > 0 || strcmp(entry->d_name, "x") == 0));
        if (S_ISDIR(st.st_mode)) {
            MUST(fchmodat(dirfd(list), entry->d_name, 0700, 0) == 0);
            empty(openat(dirfd(list), entry->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW), depth + 1);
        }
        MUST(unlinkat(dirfd(list), entry->d_name, S_ISDIR(st.st_mode) ? AT_REMOVEDIR : 0) == 0);
    }
    (void) closedir(list);
}

static char folder[] = "/tmp/banger-fuzz-tree.XXXXXX";

static int take(int stream, const char *base) {
    static struct tree_receiver receiver;
    MUST(lseek(stream, 0, SEEK_SET) == 0);
    memset(&receiver, 0, offsetof(struct tree_receiver, buffer));
    receiver.fd = stream;
    receiver.keep_room = 1;
    receiver.left_out = ignore;
    int rc = tree_receive(&receiver, folder, base);
    MUST((rc == 0) == (receiver.said[0] == 0));
    return rc;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static char path[sizeof(folder) + 2];
    static struct tree_sender sender;
    static int started;
    if (!started++) {
        MUST(mkdtemp(folder));
        (void) snprintf(path, sizeof(path), "%s/x", folder);
        (void) umask(0);
    }
    int stream = memfd_create("stream", MFD_CLOEXEC);
    MUST(stream >= 0 && write(stream, data, size) == (ssize_t) size);
    int whole = take(stream, "x") == 0;
    struct stat st;
    if (whole && lstat(path, &st) == 0) {
        MUST(ftruncate(stream, 0) == 0 && lseek(stream, 0, SEEK_SET) == 0);
        memset(&sender, 0, offsetof(struct tree_sender, buffer));
        sender.fd = stream;
        sender.left_out = ignore;
        if (tree_send(&sender, path) == 0)
            (void) take(stream, "x");
    }
    (void) close(stream);
    empty(open(folder, O_RDONLY | O_DIRECTORY), 0);
    return 0;
}
