#include "sight.h"

#include "../../common/cleanup.h"
#include "../../common/err.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>

#define TEXT_MAX 512

/* --- namespaces -------------------------------------------------------------------- */

/* The target of /proc/WHO/ns/NAME. 0 or -1. */
static int namespace_of(const char *who, const char *name, char out[64]) {
    char path[64];
    (void) snprintf(path, sizeof(path), "/proc/%s/ns/%s", who, name);
    ssize_t n = readlink(path, out, 63);
    if (n < 0)
        return -1;
    out[n] = '\0';
    return 0;
}

cJSON *sight_namespaces(pid_t pid) {
    static const char *const names[] = {"cgroup", "ipc", "mnt", "net", "pid", "time", "user", "uts"};
    char who[16], mine[64], other[64];
    cJSON *out = cJSON_CreateArray();
    (void) snprintf(who, sizeof(who), "%d", pid);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (namespace_of(who, names[i], mine)) {
            if (errno == ENOENT)
                continue; /* this kernel has no such namespace */
            cJSON_Delete(out);
            return cJSON_CreateNull();
        }
        if (namespace_of("1", names[i], other) && namespace_of("self", names[i], other))
            continue;
        if (strcmp(mine, other) != 0)
            (void) cJSON_AddItemToArray(out, cJSON_CreateString(names[i]));
    }
    return out;
}

/* --- descriptors -------------------------------------------------------------------- */

/* Columns of a line of /proc/PID/net/{unix,netlink}. */
static size_t columns(char *line, char *out[12]) {
    size_t n = 0;
    for (char *rest = line, *word = NULL; n < 12 && (word = strsep(&rest, " \n"));) {
        if (*word)
            out[n++] = word;
    }
    return n;
}

/* The line of the socket in a table of a process's network namespace, split up; 0 when
 * it is not there. `at`: the column that has the inode (proc(5)). */
static size_t socket_line(const char *who, const char *table, size_t at, const char *inode, char *line, char *out[12]) {
    char path[64];
    (void) snprintf(path, sizeof(path), "/proc/%s/net/%s", who, table);
    cleanup_file FILE *f = fopen(path, "re");
    while (f && fgets(line, TEXT_MAX, f)) {
        size_t n = columns(line, out);
        if (n > at && strcmp(out[at], inode) == 0)
            return n;
    }
    return 0;
}

/* Replaces "socket:[INODE]" by what is known of it. */
static void describe_socket(const char *pid, char what[TEXT_MAX]) {
    static const char *const types[] = {[1] = "stream", [2] = "dgram", [3] = "raw", [5] = "seqpacket"};
    const char *const where[] = {pid, "self"};
    char line[TEXT_MAX], inode[32], *word[12];
    (void) snprintf(inode, sizeof(inode), "%.*s", (int) strcspn(what + 8, "]"), what + 8);
    for (size_t i = 0; i < 2; i++) {
        size_t n = socket_line(where[i], "unix", 6, inode, line, word);
        unsigned long type = n ? strtoul(word[4], NULL, 16) : 0;
        if (n) {
            (void) snprintf(what, TEXT_MAX, "unix %s socket%s%.300s", type < 6 && types[type] ? types[type] : "?",
                            n > 7 ? " " : "", n > 7 ? word[7] : "");
            return;
        }
        if (socket_line(where[i], "netlink", 9, inode, line, word)) {
            (void) snprintf(what, TEXT_MAX, "netlink socket, protocol %.8s%s", word[1],
                            strcmp(word[1], "0") == 0    ? " (route)"
                            : strcmp(word[1], "12") == 0 ? " (netfilter)"
                                                         : "");
            return;
        }
    }
}

/* From the octal flags of /proc/PID/fdinfo/N (proc(5)). */
static const char *access_of(const char *pid, const char *number) {
    char path[64], line[128];
    unsigned long flags = O_PATH;
    (void) snprintf(path, sizeof(path), "/proc/%s/fdinfo/%.16s", pid, number);
    cleanup_file FILE *f = fopen(path, "re");
    while (f && fgets(line, sizeof(line), f)) {
        if (strncmp(line, "flags:", 6) == 0)
            flags = strtoul(line + 6, NULL, 8);
    }
    if (flags & O_PATH)
        return "path";
    return (flags & O_ACCMODE) == O_RDONLY ? "r" : (flags & O_ACCMODE) == O_WRONLY ? "w" : "rw";
}

static void add_file(cJSON *out, const char *pid, const char *number) {
    char path[64], what[TEXT_MAX];
    (void) snprintf(path, sizeof(path), "/proc/%s/fd/%.16s", pid, number);
    ssize_t n = readlink(path, what, sizeof(what) - 1);
    if (n < 0)
        return;
    what[n] = '\0';
    if (strncmp(what, "socket:[", 8) == 0)
        describe_socket(pid, what);
    text_sanitize(what);
    cJSON *file = cJSON_CreateObject();
    (void) cJSON_AddNumberToObject(file, "fd", (double) strtol(number, NULL, 10));
    (void) cJSON_AddStringToObject(file, "access", access_of(pid, number));
    (void) cJSON_AddStringToObject(file, "what", what);
    (void) cJSON_AddItemToArray(out, file);
}

cJSON *sight_files(pid_t pid) {
    char path[64], who[16];
    (void) snprintf(who, sizeof(who), "%d", pid);
    (void) snprintf(path, sizeof(path), "/proc/%s/fd", who);
    DIR *dir = opendir(path);
    if (!dir)
        return cJSON_CreateNull();
    cJSON *out = cJSON_CreateArray();
    const struct dirent *entry = NULL;
    while ((entry = readdir(dir))) {
        if (entry->d_name[0] != '.')
            add_file(out, who, entry->d_name);
    }
    (void) closedir(dir);
    return out;
}

/* --- the root ------------------------------------------------------------------------ */

struct walk {
    cJSON *out;
    dev_t device; /* of the root: what has another is another mount */
};

static void walk(const struct walk *w, int folder, const char *above, int depth);

static void add_entry(const struct walk *w, int folder, const char *above, const char *name, int depth) {
    char path[TEXT_MAX], text[TEXT_MAX + 64];
    struct stat st;
    (void) snprintf(path, sizeof(path), "%s/%.200s", above, name);
    if (fstatat(folder, name, &st, AT_SYMLINK_NOFOLLOW) || cJSON_GetArraySize(w->out) >= SIGHT_ROOT_MAX)
        return;
    if (S_ISCHR(st.st_mode) || S_ISBLK(st.st_mode))
        (void) snprintf(text, sizeof(text), "%s (%s %u:%u)", path,
                        S_ISCHR(st.st_mode) ? "character device" : "block device", major(st.st_rdev),
                        minor(st.st_rdev));
    else
        (void) snprintf(text, sizeof(text), "%s%s%s", path, S_ISLNK(st.st_mode) ? " (link)" : "",
                        st.st_dev != w->device ? " (mounted)" : "");
    text_sanitize(text);
    int below = S_ISDIR(st.st_mode) && st.st_dev == w->device && depth < 8
                    ? openat(folder, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
                    : -1;
    int before = cJSON_GetArraySize(w->out);
    if (below >= 0)
        walk(w, below, path, depth + 1);
    if (cJSON_GetArraySize(w->out) == before) /* no folder, or one with nothing in it */
        (void) cJSON_AddItemToArray(w->out, cJSON_CreateString(text));
}

/* Takes `folder`. */
static void walk(const struct walk *w, int folder, const char *above, int depth) {
    DIR *dir = fdopendir(folder);
    const struct dirent *entry = NULL;
    if (!dir) {
        (void) close(folder);
        return;
    }
    while ((entry = readdir(dir))) {
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            add_entry(w, folder, above, entry->d_name, depth);
    }
    (void) closedir(dir);
}

cJSON *sight_root(pid_t pid) {
    char path[64];
    struct stat st;
    struct statfs fs;
    (void) snprintf(path, sizeof(path), "/proc/%d/root", pid);
    int folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    /* banger's roots are tmpfs; another file system is not banger's, and may not answer. */
    if (folder < 0 || fstat(folder, &st) || fstatfs(folder, &fs) || fs.f_type != TMPFS_MAGIC) {
        if (folder >= 0)
            (void) close(folder);
        return cJSON_CreateNull();
    }
    struct walk w = {.out = cJSON_CreateArray(), .device = st.st_dev};
    walk(&w, folder, "", 0);
    return w.out;
}
