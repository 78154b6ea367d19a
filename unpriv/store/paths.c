#include "paths.h"

#include "../../common/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define BACKLOG 128

/* Each folder: its variable, and where it is without (XDG Base Directory Specification 0.8). */
static const struct folder_rule {
    const char *variable;
    const char *below_home;
    size_t offset;
} rules[] = {
    {"XDG_CONFIG_HOME", ".config", offsetof(struct paths, config)},
    {"XDG_STATE_HOME", ".local/state", offsetof(struct paths, state)},
    {"XDG_CACHE_HOME", ".cache", offsetof(struct paths, cache)},
};

static int find_home(char out[PATH_MAX], struct err *e) {
    const char *home = getenv("HOME");
    if (home && home[0] == '/') {
        (void) snprintf(out, PATH_MAX, "%s", home);
        return 0;
    }
    char buffer[4096];
    struct passwd entry;
    struct passwd *found = NULL;
    if (getpwuid_r(getuid(), &entry, buffer, sizeof(buffer), &found) || !found || found->pw_dir[0] != '/')
        return err_set(e, ENOENT, "HOME is not set and user id %u has no home folder: set HOME to a folder of yours",
                       getuid());
    (void) snprintf(out, PATH_MAX, "%s", found->pw_dir);
    return 0;
}

static int cannot_make(const char *path, const char *variable, int code, struct err *e) {
    return err_set(e, code, "cannot make the folder %s (%s): set %s to a folder that this account can write", path,
                   strerror(code), variable);
}

/* mkdir -p, 0700 for whatever is missing. */
static int make_parents(char *path, const char *variable, struct err *e) {
    for (char *slash = strchr(path + 1, '/');; slash = strchr(slash + 1, '/')) {
        if (slash)
            *slash = '\0';
        int failed = mkdir(path, 0700) && errno != EEXIST ? errno : 0;
        /* On some file systems mkdir of what exists says EROFS or EACCES, not EEXIST. */
        struct stat st;
        if (failed && stat(path, &st) == 0 && S_ISDIR(st.st_mode))
            failed = 0;
        if (failed)
            return cannot_make(path, variable, failed, e);
        if (!slash)
            return 0;
        *slash = '/';
    }
}

/* The folder is ours and closed to others: what lies in it is disks and sockets. */
static int make_private(char *path, const char *variable, struct err *e) {
    int r = make_parents(path, variable, e);
    if (r)
        return r;
    struct stat st;
    if (stat(path, &st))
        return cannot_make(path, variable, errno, e);
    if (!S_ISDIR(st.st_mode))
        return cannot_make(path, variable, ENOTDIR, e);
    if (st.st_uid != geteuid())
        return err_set(e, EPERM, "the folder %s belongs to another account: set %s to a folder of yours", path,
                       variable);
    if ((st.st_mode & 077) && chmod(path, 0700))
        return err_sys(e, errno, "cannot close %s to other accounts", path);
    return 0;
}

int paths_find(struct paths *p, struct err *e) {
    char home[PATH_MAX];
    int r = find_home(home, e);
    for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]) && r == 0; i++) {
        const struct folder_rule *rule = &rules[i];
        char *out = (char *) p + rule->offset;
        const char *base = getenv(rule->variable);
        /* "All paths set in these environment variables must be absolute"; others are ignored. */
        int n = base && base[0] == '/' ? snprintf(out, PATH_MAX, "%s/banger", base)
                                       : snprintf(out, PATH_MAX, "%s/%s/banger", home, rule->below_home);
        if (n < 0 || n >= PATH_MAX)
            return err_set(e, ENAMETOOLONG, "the folder for %s has too long a name: set it to a shorter one",
                           rule->variable);
        r = make_private(out, rule->variable, e);
    }
    return r;
}

/* sun_path has 108 bytes, whatever the folder's own name: it is reached by descriptor. */
static struct sockaddr_un address_of(int fd, const char *slash, const char *name) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    (void) snprintf(address.sun_path, sizeof(address.sun_path), "/proc/self/fd/%d%s%s", fd, slash, name);
    return address;
}

/* connect(2) follows a symbolic link: the socket itself is opened first, and the
 * connection is made to what was opened. */
static int connect_to(int dir, const char *name, int flags) {
    cleanup_fd int node = openat(dir, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    if (node < 0)
        return -errno;
    struct stat st;
    if (fstat(node, &st))
        return -errno;
    if (!S_ISSOCK(st.st_mode))
        return -ENOTSOCK;
    cleanup_fd int sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | flags, 0);
    if (sock < 0)
        return -errno;
    struct sockaddr_un address = address_of(node, "", "");
    int r;
    do {
        r = connect(sock, (const struct sockaddr *) &address, sizeof(address));
    } while (r < 0 && errno == EINTR);
    return r < 0 ? -errno : take_fd(&sock);
}

int paths_connect(int dir, const char *name) {
    return connect_to(dir, name, 0);
}

int paths_connect_now(int dir, const char *name) {
    cleanup_fd int sock = connect_to(dir, name, SOCK_NONBLOCK);
    if (sock < 0)
        return sock;
    int flags = fcntl(sock, F_GETFL);
    return flags < 0 || fcntl(sock, F_SETFL, flags & ~O_NONBLOCK) ? -errno : take_fd(&sock);
}

int paths_listen(int dir, const char *name) {
    if (unlinkat(dir, name, 0) && errno != ENOENT)
        return -errno;
    cleanup_fd int sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (sock < 0)
        return -errno;
    struct sockaddr_un address = address_of(dir, "/", name);
    mode_t before = umask(0177);
    int r = bind(sock, (const struct sockaddr *) &address, sizeof(address)) ? -errno : 0;
    (void) umask(before);
    if (r == 0 && listen(sock, BACKLOG))
        r = -errno;
    return r ? r : take_fd(&sock);
}
