/* A tree as it comes out of a guest: whatever the bytes are, nothing but files, links and
 * folders below the one place is made, none of them has a set-id bit, no half file is left; and
 * what was taken whole can be sent and taken again. Where nothing can be made, or read, it is told. */
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

static void leave(void) {
    (void) rmdir(folder);
}

static void count_up(void *arg, uint64_t bytes, uint64_t total) {
    uint64_t *before = arg;
    (void) total;
    MUST(bytes > *before);
    *before = bytes;
}

/* To `path` as `base`; with `keep_room` as one that had nearly enough already to look at the disk's room again. */
static int take(int stream, const char *path, const char *base, int keep_room) {
    static struct tree_receiver receiver;
    static const uint64_t before = (4u << 20) - 1;
    uint64_t moved = 0;
    MUST(lseek(stream, 0, SEEK_SET) == 0);
    memset(&receiver, 0, offsetof(struct tree_receiver, buffer));
    receiver.fd = stream;
    receiver.keep_room = keep_room;
    receiver.left_out = ignore;
    receiver.moved = count_up;
    receiver.arg = &moved;
    receiver.bytes = keep_room ? before : 0;
    int rc = tree_receive(&receiver, path, base);
    MUST((rc == 0) == (receiver.said[0] == 0));
    return rc;
}

/* What was made, sent again; into `stream`, in place of what is in it. */
static int send_again(int stream, const char *path, int depth) {
    static struct tree_sender sender;
    uint64_t moved = 0;
    MUST(ftruncate(stream, 0) == 0 && lseek(stream, 0, SEEK_SET) == 0);
    memset(&sender, 0, offsetof(struct tree_sender, buffer));
    sender.fd = stream;
    sender.left_out = ignore;
    sender.moved = count_up;
    sender.arg = &moved;
    sender.depth = depth;
    int rc = tree_send(&sender, path);
    MUST((rc == 0) == (sender.said[0] == 0));
    return rc;
}

/* The same bytes in the place of an answer, and where nothing can be made; and one's own answer. */
static void take_elsewhere(int stream) {
    static struct tree_receiver receiver;
    char said[TREE_SAID];
    (void) take(stream, "/proc/self/fdinfo", "x", 0);
    MUST(take(stream, "/proc/self/fdinfo/none/x", "x", 0) != 0 && take(stream, "/proc/none/", "x", 0) != 0);
    receiver.fd = stream;
    MUST(lseek(stream, 0, SEEK_SET) == 0);
    int rc = tree_answered(&receiver);
    MUST((rc == 0) == (receiver.said[0] == 0));
    (void) snprintf(said, sizeof(said), "%s", receiver.said);
    MUST(ftruncate(stream, 0) == 0 && lseek(stream, 0, SEEK_SET) == 0 && tree_answer(stream, said) == 0);
    MUST(lseek(stream, 0, SEEK_SET) == 0 && (tree_answered(&receiver) == 0) == (said[0] == 0));
}

/* What cannot be sent is told to both sides. */
static void send_nothing(int stream) {
    static const char *const none[] = {"/none", "/dev/null", "/proc/self/mem", "/proc/self/fd/none/"};
    static struct tree_sender sender;
    for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++) {
        MUST(send_again(stream, none[i], 0) != 0);
        MUST(take(stream, folder, "x", 1) != 0);
    }
    MUST(send_again(stream, folder, TREE_DEPTH_MAX) != 0);
    sender.fd = open("/dev/full", O_WRONLY | O_CLOEXEC);
    MUST(tree_send(&sender, "/proc/self/status") != 0 && tree_send(&sender, "/proc/self/fdinfo/.") != 0);
    (void) close(sender.fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static char path[sizeof(folder) + 2], pipe[sizeof(folder) + 8];
    static int started;
    int stream = memfd_create("stream", MFD_CLOEXEC);
    if (!started++) {
        MUST(mkdtemp(folder) && atexit(leave) == 0);
        (void) snprintf(path, sizeof(path), "%s/x", folder);
        (void) snprintf(pipe, sizeof(pipe), "%s/x/pipe", folder);
        (void) umask(0);
        send_nothing(stream);
        empty(open(folder, O_RDONLY | O_DIRECTORY), 0);
        MUST(ftruncate(stream, 0) == 0 && lseek(stream, 0, SEEK_SET) == 0);
    }
    MUST(stream >= 0 && write(stream, data, size) == (ssize_t) size);
    int whole = take(stream, path, "y", 1) == 0; /* there is nothing yet: it is called x */
    struct stat st;
    if (whole && lstat(path, &st) == 0) {
        int odd = mkfifo(pipe, 0600) == 0; /* in a folder: left out */
        int sent = send_again(stream, path, 0) == 0;
        MUST(!odd || unlink(pipe) == 0);
        if (sent)
            (void) take(stream, folder, "x", 1);
        if (sent && S_ISDIR(st.st_mode))
            (void) take(stream, path, "", 1);
    }
    take_elsewhere(stream);
    (void) close(stream);
    empty(open(folder, O_RDONLY | O_DIRECTORY), 0);
    return 0;
}
