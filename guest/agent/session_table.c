/* The folders of sessions. */
#include "session.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

const char *agent_session_base = "/root/.cache/banger/sessions";

static const char *const state_names[] = {"running", "exited", "killed", "lost"};
#define STATES (sizeof state_names / sizeof *state_names)

static int is_label_byte(char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

int agent_session_name_good(const char *name) {
    size_t length = strlen(name);
    int good = length > 0 && length < SESSION_NAME_MAX && name[0] != '-' && name[length - 1] != '-';
    for (size_t i = 0; good && i < length; i++)
        good = is_label_byte(name[i]) || name[i] == '-';
    return good;
}

/* --- text ------------------------------------------------------------------------------- */

void agent_session_escape(const char *bytes, char *text, size_t size) {
    static const char digits[] = "0123456789abcdef";
    size_t used = 0;
    for (; *bytes; bytes++) {
        unsigned char byte = (unsigned char) *bytes;
        int plain = byte >= ' ' && byte < 0x7f && byte != '%';
        if (used + (plain ? 1 : 3) >= size)
            break;
        if (plain) {
            text[used++] = *bytes;
            continue;
        }
        text[used++] = '%';
        text[used++] = digits[byte >> 4];
        text[used++] = digits[byte & 15];
    }
    text[used] = '\0';
}

/* As a shell would need it written. */
static void word_add(char *line, size_t size, const char *word) {
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./:=@%+,-";
    size_t used = strlen(line);
    if (used && used + 1 < size)
        line[used++] = ' ';
    int quotes = !word[0] || word[strspn(word, plain)];
    if (quotes && used + 1 < size)
        line[used++] = '\'';
    for (; *word && used + 5 < size; word++) {
        if (*word == '\'')
            used += (size_t) snprintf(line + used, size - used, "'\\''");
        else
            line[used++] = *word;
    }
    if (quotes && used + 1 < size)
        line[used++] = '\'';
    line[used] = '\0';
}

void agent_session_command(char *const argv[], char text[SESSION_TEXT_MAX]) {
    char line[1024] = "";
    for (size_t i = 0; argv[i] && strlen(line) + 6 < sizeof line; i++)
        word_add(line, sizeof line, argv[i]);
    agent_session_escape(line, text, SESSION_TEXT_MAX);
}

/* How much of a text is printed: all, or at most so many bytes and no part of a %HH. */
static size_t text_cut(const char *text, size_t most) {
    const size_t size = strlen(text);
    if (size <= most)
        return size;
    for (size_t i = 1; i <= 2 && i <= most; i++)
        if (text[most - i] == '%')
            return most - i;
    return most;
}

static void text_print(FILE *to, const char *key, const char *text, size_t most) {
    const size_t size = text_cut(text, most);
    (void) fprintf(to, "%s %.*s%s\n", key, (int) size, text, text[size] ? "..." : "");
}

void agent_session_print(FILE *to, const struct agent_session *session, size_t most) {
    (void) fprintf(to, "session %s\nstate %s\npid %lld\ncode %lld\nstarted %lld\nended %lld\ninput %s\n", session->name,
                   state_names[session->state], session->pid, session->code, session->started, session->ended,
                   session->piped ? "pipe" : "detached");
    text_print(to, "folder", session->folder, most);
    text_print(to, "command", session->command, most);
    if (session->attached[0])
        text_print(to, "attached", session->attached, sizeof session->attached);
}

/* The lines of a state file but for its two words. */
static const struct {
    const char *key;
    size_t at;
} numbers[] = {{"pid", offsetof(struct agent_session, pid)},
               {"code", offsetof(struct agent_session, code)},
               {"started", offsetof(struct agent_session, started)},
               {"ended", offsetof(struct agent_session, ended)}},
  texts[] = {{"folder", offsetof(struct agent_session, folder)}, {"command", offsetof(struct agent_session, command)}};

static void line_take(struct agent_session *session, const char *key, const char *value) {
    char *start = (char *) session;
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        if (strcmp(key, numbers[i].key) == 0)
            *(long long *) (void *) (start + numbers[i].at) = strtoll(value, NULL, 10);
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if (strcmp(key, texts[i].key) == 0)
            (void) snprintf(start + texts[i].at, SESSION_TEXT_MAX, "%s", value);
    for (size_t i = 0; strcmp(key, "state") == 0 && i < STATES; i++)
        if (strcmp(value, state_names[i]) == 0)
            session->state = i;
    if (strcmp(key, "input") == 0)
        session->piped = strcmp(value, "pipe") == 0;
}

/* --- one folder ----------------------------------------------------------------------------- */

/* A small file of the folder; its length or a negative errno. */
static ssize_t file_read(int folder, const char *name, char *text, size_t size) {
    int fd = openat(folder, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    ssize_t got = read(fd, text, size - 1);
    int code = got < 0 ? -errno : 0;
    (void) close(fd);
    if (code < 0)
        return code;
    text[got] = '\0';
    return got;
}

static int state_read(int folder, struct agent_session *session) {
    char text[2 * SESSION_TEXT_MAX + 512];
    ssize_t got = file_read(folder, "state", text, sizeof text);
    if (got < 0)
        return (int) got;
    for (char *rest = text, *line; (line = strsep(&rest, "\n")) != NULL;) {
        char *value = strchr(line, ' ');
        if (!value)
            continue;
        *value++ = '\0';
        line_take(session, line, value);
    }
    return 0;
}

int agent_session_save(int folder, const struct agent_session *session) {
    int fd = openat(folder, "state.new", O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
    FILE *file = fd < 0 ? NULL : fdopen(fd, "w");
    if (!file)
        return -errno;
    agent_session_print(file, session, SESSION_TEXT_MAX);
    int bad = ferror(file);
    if (fclose(file) != 0 || bad)
        return -EIO;
    return renameat(folder, "state.new", folder, "state") < 0 ? -errno : 0;
}

/* 1 when somebody has the lock. */
static int is_locked(int folder, const char *name) {
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    int fd = openat(folder, name, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return 0;
    int known = fcntl(fd, F_OFD_GETLK, &lock) == 0;
    (void) close(fd);
    return known && lock.l_type != F_UNLCK;
}

int agent_session_kept(int folder) {
    return is_locked(folder, "lock");
}

int agent_session_lock(int folder, const char *file) {
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    int fd = openat(folder, file, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return -errno;
    if (fcntl(fd, F_OFD_SETLK, &lock) == 0)
        return fd;
    int code = errno == EACCES ? EAGAIN : errno;
    (void) close(fd);
    return -code;
}

/* The session as it is by now: the state file has the last word but one, the keeper's lock the last. */
static int session_read(int folder, const char *name, struct agent_session *session) {
    char who[sizeof session->attached] = "";
    *session = (struct agent_session){0};
    (void) snprintf(session->name, sizeof session->name, "%s", name);
    int code = state_read(folder, session);
    if (code == 0 && session->state == SESSION_RUNNING && !agent_session_kept(folder)) {
        code = state_read(folder, session); /* it may have ended between the two looks */
        if (session->state == SESSION_RUNNING)
            session->state = SESSION_LOST;
    }
    if (is_locked(folder, "attach") && file_read(folder, "attach", who, sizeof who) > 0)
        agent_session_escape(who, session->attached, sizeof session->attached);
    return code;
}

/* The folder of all, made where it is missing. */
static int base_open(void) {
    agent_path_make(agent_session_base, 0700);
    int fd = open(agent_session_base, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

int agent_session_open(const char *name, struct agent_session *session) {
    char path[256];
    if (!agent_session_name_good(name))
        return -ENOENT;
    (void) snprintf(path, sizeof path, "%s/%s", agent_session_base, name);
    int folder = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (folder < 0)
        return -errno;
    int code = session_read(folder, name, session);
    if (code == 0)
        return folder;
    (void) close(folder);
    return code;
}

/* --- all ---------------------------------------------------------------------------------------- */

static int by_name(const void *a, const void *b) {
    return strcmp(((const struct agent_session *) a)->name, ((const struct agent_session *) b)->name);
}

int agent_session_all(struct agent_session *list) {
    int count = 0;
    DIR *base = opendir(agent_session_base);
    if (!base)
        return errno == ENOENT ? 0 : -errno;
    for (const struct dirent *entry; count < SESSIONS_MAX && (entry = readdir(base)) != NULL;) {
        int folder = agent_session_open(entry->d_name, &list[count]);
        if (folder < 0)
            continue;
        (void) close(folder);
        count++;
    }
    (void) closedir(base);
    qsort(list, (size_t) count, sizeof *list, by_name);
    return count;
}

void agent_session_remove(const char *name) {
    char path[256];
    (void) snprintf(path, sizeof path, "%s/%s", agent_session_base, name);
    DIR *folder = opendir(path);
    for (const struct dirent *entry; folder && (entry = readdir(folder)) != NULL;)
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            (void) unlinkat(dirfd(folder), entry->d_name, 0);
    if (folder)
        (void) closedir(folder);
    (void) rmdir(path);
}

/* What a start that was cut off, or the power, left without a state is no session. The guard is held: nobody makes
 * one now. */
static void debris_remove(void) {
    struct agent_session *session = malloc(sizeof *session);
    DIR *base = session ? opendir(agent_session_base) : NULL;
    for (const struct dirent *entry; base && (entry = readdir(base)) != NULL;) {
        char path[256];
        if (!agent_session_name_good(entry->d_name) || agent_session_open(entry->d_name, session) != -ENOENT)
            continue;
        (void) snprintf(path, sizeof path, "%s/%.63s", agent_session_base, entry->d_name);
        int folder = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (folder >= 0 && !agent_session_kept(folder))
            agent_session_remove(entry->d_name);
        if (folder >= 0)
            (void) close(folder);
    }
    if (base)
        (void) closedir(base);
    free(session);
}

/* Room for one more: 0, or -EBUSY when all run. */
static int room_make(void) {
    struct agent_session *list = calloc(SESSIONS_MAX, sizeof *list);
    if (!list)
        return -ENOMEM;
    int count = agent_session_all(list), oldest = -1;
    for (int i = 0; i < count; i++)
        if (list[i].state != SESSION_RUNNING && (oldest < 0 || list[i].ended < list[oldest].ended))
            oldest = i;
    if (count >= SESSIONS_MAX && oldest >= 0)
        agent_session_remove(list[oldest].name);
    free(list);
    return count >= SESSIONS_MAX && oldest < 0 ? -EBUSY : 0;
}

static int guard_take(int base) {
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    int fd = openat(base, ".lock", O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return -errno;
    while (fcntl(fd, F_OFD_SETLKW, &lock) < 0)
        if (errno != EINTR) {
            int code = errno;
            (void) close(fd);
            return -code;
        }
    return fd;
}

/* The new folder, with what belongs in it. */
static int folder_fill(int base, const struct agent_session *session) {
    if (mkdirat(base, session->name, 0700) < 0)
        return -errno;
    int folder = openat(base, session->name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (folder < 0)
        return -errno;
    if (mkfifoat(folder, "control", 0600) == 0 && (!session->piped || mkfifoat(folder, "stdin", 0600) == 0))
        return folder;
    int code = errno;
    (void) close(folder);
    return -code;
}

static int complain(char *why, size_t size, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
static int complain(char *why, size_t size, const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    (void) vsnprintf(why, size, fmt, args);
    va_end(args);
    return -1;
}

/* 1 when one of that name runs. */
static int is_running(const char *name) {
    static struct agent_session old;
    int folder = agent_session_open(name, &old);
    if (folder >= 0)
        (void) close(folder);
    return folder >= 0 && old.state == SESSION_RUNNING;
}

int agent_session_make(const struct agent_session *session, int *guard, char *why, size_t size) {
    int base = base_open(), folder = 0;
    *guard = base < 0 ? base : guard_take(base);
    if (*guard < 0) {
        folder = *guard;
    } else if (is_running(session->name)) {
        folder = -EEXIST;
    } else {
        agent_session_remove(session->name);
        debris_remove();
        folder = room_make();
    }
    if (folder == 0)
        folder = folder_fill(base, session);
    if (base >= 0)
        (void) close(base);
    if (folder == -EEXIST)
        return complain(why, size, "session %s runs already: choose another name, or stop it first", session->name);
    if (folder == -EBUSY)
        return complain(why, size, "%d sessions run, and more cannot: stop one first", SESSIONS_MAX);
    if (folder < 0)
        return complain(why, size, "cannot make %s/%s: %s", agent_session_base, session->name, strerror(-folder));
    return folder;
}
