#include "key.h"

#include "../../common/cleanup.h"
#include "../../common/io.h"
#include "../workspace/process.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static int read_public(const char *path, char text[KEY_TEXT_MAX]) {
    cleanup_fd int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    ssize_t n = fd < 0 ? -errno : io_read_some(fd, text, KEY_TEXT_MAX - 1);
    if (n <= 0)
        return n < 0 ? (int) n : -ENOENT;
    text[n] = 0;
    return 0;
}

/* Makes the pair under a name of this process's own and moves it into place: the
 * private part by link(2), so of two processes at once one wins, whole. */
static int make_pair(const char *folder, const char *path, struct err *e) {
    char fresh[PATH_MAX + 32], from[PATH_MAX + 40], to[PATH_MAX + 40];
    (void) snprintf(fresh, sizeof(fresh), "%s/new-%d", folder, (int) getpid());
    const char *const argv[] = {"ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "banger", "-f", fresh, NULL};
    struct process p = {.argv = argv};
    struct process_output o;
    (void) unlink(fresh);
    int r = process_run(&p, NULL, 0, &o, e);
    if (r < 0)
        return r;
    if (o.status != 0)
        r = err_set(e, EIO, "cannot make banger's ssh key: ssh-keygen says: %s", process_last_line(o.err));
    process_output_free(&o);
    (void) snprintf(from, sizeof(from), "%s.pub", fresh);
    (void) snprintf(to, sizeof(to), "%s.pub", path);
    if (r == 0 && link(fresh, path) == 0)
        r = rename(from, to) < 0 ? err_sys(e, errno, "cannot write %s", to) : 0;
    else if (r == 0 && errno != EEXIST)
        r = err_sys(e, errno, "cannot write %s", path);
    (void) unlink(fresh);
    (void) unlink(from);
    return r;
}

int key_public(const struct paths *paths, char text[KEY_TEXT_MAX], struct err *e) {
    char folder[PATH_MAX + 8], path[PATH_MAX + 24], public[PATH_MAX + 32];
    (void) snprintf(folder, sizeof(folder), "%s/ssh", paths->state);
    (void) snprintf(path, sizeof(path), "%s/id_ed25519", folder);
    (void) snprintf(public, sizeof(public), "%s.pub", path);
    if (read_public(public, text) == 0)
        return 0;
    if (mkdir(folder, 0700) < 0 && errno != EEXIST)
        return err_sys(e, errno, "cannot make %s", folder);
    int r = make_pair(folder, path, e);
    for (int i = 0; r == 0 && read_public(public, text) < 0; i++) { /* another process may be about to move it */
        if (i == 50)
            return err_set(e, ENOENT, "%s is missing: remove %s too, and both are made again", public, path);
        (void) usleep(20000);
    }
    return r;
}
