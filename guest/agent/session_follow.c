/* What reads a session's logs: the keeper writes them and knows nothing of readers, so that no reader holds a
 * session up. One that is slower than the logs are long misses what was in between. */
#include "session.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#define CHUNK   16384
#define TURN    ((size_t) 16 * CHUNK) /* of a log at once: what is slower than a session must hear its client too */
#define LOOK_MS 1000                  /* a keeper that is killed tells nobody */

struct tail {
    int folder, fd, to;
    size_t most; /* bytes that may still be copied */
    const char *name, *older;
};

static int write_all(int to, const char *data, size_t size) {
    for (ssize_t put; size; data += put, size -= (size_t) put) {
        put = write(to, data, size);
        if (put < 0 && errno == EINTR)
            put = 0;
        else if (put < 0)
            return -errno;
    }
    return 0;
}

/* The rest of the file, as far as one turn goes. 1: there may be more; 0 or a negative errno. */
static int copy_rest(struct tail *tail) {
    char chunk[CHUNK];
    for (size_t left = tail->most < TURN ? tail->most : TURN; left;) {
        ssize_t got = read(tail->fd, chunk, left < sizeof chunk ? left : sizeof chunk);
        if (got == 0)
            return 0;
        int code = got < 0 ? -errno : write_all(tail->to, chunk, (size_t) got);
        if (code < 0 && code != -EINTR)
            return code;
        left -= got > 0 ? (size_t) got : 0;
        tail->most -= got > 0 ? (size_t) got : 0;
    }
    return 1;
}

static int is_file(const struct tail *tail, const char *name) {
    struct stat mine, other;
    return fstat(tail->fd, &mine) == 0 && fstatat(tail->folder, name, &other, AT_SYMLINK_NOFOLLOW) == 0 &&
           mine.st_ino == other.st_ino && mine.st_dev == other.st_dev;
}

static int log_open(const struct tail *tail, const char *name) {
    int fd = openat(tail->folder, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

/* The file is full and its last byte read: the next one. 0, or -ENOENT: the folder is gone. */
static int tail_next(struct tail *tail) {
    int fd = log_open(tail, is_file(tail, tail->older) ? tail->name : tail->older);
    if (fd < 0)
        return fd;
    (void) close(tail->fd);
    tail->fd = fd;
    return 0;
}

/* What is there by now, as far as one turn goes. 1: there may be more; 0 or a negative errno. */
static int tail_pump(struct tail *tail) {
    int code = copy_rest(tail);
    while (code == 0 && !is_file(tail, tail->name)) {
        code = copy_rest(tail); /* what came before it was full */
        if (code == 0 && tail_next(tail) < 0)
            return 0;
        if (code == 0)
            code = copy_rest(tail);
    }
    return code;
}

/* From its oldest byte, or from its end. While a full file becomes the older one there is none of its name. */
static int tail_open(struct tail *tail, int folder, const char *name, const char *older, int to, int at_end) {
    *tail = (struct tail){.folder = folder, .to = to, .most = SIZE_MAX, .name = name, .older = older};
    tail->fd = at_end ? -ENOENT : log_open(tail, older);
    if (tail->fd < 0)
        tail->fd = log_open(tail, name);
    if (tail->fd == -ENOENT)
        tail->fd = log_open(tail, older);
    if (tail->fd >= 0 && at_end && lseek(tail->fd, 0, SEEK_END) < 0)
        return -errno;
    return tail->fd < 0 ? tail->fd : 0;
}

/* Told of each write, each new log, each new state, and the end of the input. */
static int folder_watch(int folder) {
    char path[32];
    int watch = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    (void) snprintf(path, sizeof path, "/proc/self/fd/%d", folder);
    if (watch < 0 || inotify_add_watch(watch, path, IN_MODIFY | IN_CREATE | IN_MOVED_TO | IN_DELETE) < 0)
        return -errno;
    return watch;
}

/* What a client sends on its way to the command. */
struct feed {
    int from, to;
    size_t at, size;
    char bytes[CHUNK];
};

static void feed_end(struct feed *feed) {
    if (feed->to >= 0)
        (void) close(feed->to);
    feed->from = feed->to = -1;
    feed->size = 0;
}

/* Whoever closed the session's input closed it for us too: it is open for as long as anybody has it so. */
static int is_closed(int folder) {
    return faccessat(folder, "stdin", F_OK, AT_SYMLINK_NOFOLLOW) < 0;
}

static void feed_pump(int folder, struct feed *feed, const struct pollfd *polls) {
    if (feed->to >= 0 && is_closed(folder)) {
        feed_end(feed);
    } else if (polls[0].revents) {
        ssize_t got = read(feed->from, feed->bytes, sizeof feed->bytes);
        feed->at = 0;
        feed->size = got > 0 ? (size_t) got : 0;
        if (got == 0)
            feed_end(feed);
    }
    if (feed->size == 0)
        return;
    ssize_t put = write(feed->to, feed->bytes + feed->at, feed->size);
    if (put < 0 && errno != EAGAIN && errno != EINTR) {
        feed_end(feed); /* it reads no more */
    } else if (put > 0) {
        feed->at += (size_t) put;
        feed->size -= (size_t) put;
    }
}

/* Until the session has ended. `feed` may be NULL. */
static int follow(int folder, int watch, struct tail *tails, int count, struct feed *feed) {
    for (int kept = 1, more = 0;; more = 0) {
        struct pollfd list[3] = {{.fd = feed && !feed->size ? feed->from : -1, .events = POLLIN},
                                 {.fd = feed && feed->size ? feed->to : -1, .events = POLLOUT},
                                 {.fd = watch, .events = POLLIN}};
        char news[4096];
        int last = !kept; /* its last word was written before its keeper went */
        for (int i = 0; i < count; i++) {
            int code = tail_pump(&tails[i]);
            if (code < 0)
                return code;
            more |= code;
        }
        if (last && !more)
            return 0;
        (void) poll(list, 3, more ? 0 : LOOK_MS);
        while (read(watch, news, sizeof news) > 0)
            ;
        if (feed)
            feed_pump(folder, feed, list);
        kept = agent_session_kept(folder);
    }
}

int agent_session_logs(int folder, const char *stream, int following) {
    struct tail tail;
    int err = strcmp(stream, "stderr") == 0;
    int code = tail_open(&tail, folder, err ? "stderr" : "stdout", err ? "stderr.1" : "stdout.1", STDOUT_FILENO, 0);
    int watch = code == 0 && following ? folder_watch(folder) : code;
    if (watch < 0)
        return watch;
    if (following)
        return follow(folder, watch, &tail, 1, NULL);
    tail.most = 2 * (size_t) SESSION_LOG_MAX; /* all that is ever kept: a session may write faster than this reads */
    do {
        code = tail_pump(&tail);
    } while (code > 0 && tail.most);
    return code < 0 ? code : 0;
}

int agent_session_attach(int folder) {
    static struct feed feed;
    struct tail tails[2];
    int watch = folder_watch(folder);
    int code = watch < 0 ? watch : tail_open(&tails[0], folder, "stdout", "stdout.1", STDOUT_FILENO, 1);
    if (code == 0)
        code = tail_open(&tails[1], folder, "stderr", "stderr.1", STDERR_FILENO, 1);
    if (code < 0)
        return code;
    feed.to = openat(folder, "stdin", O_WRONLY | O_NONBLOCK | O_CLOEXEC);
    feed.from = feed.to < 0 ? -1 : STDIN_FILENO;
    return follow(folder, watch, tails, 2, &feed);
}
