/* `banger ssh-config`: prints what `ssh NAME.vm` needs, or includes it in the user's ssh
 * configuration, of which nothing else is touched.
 *
 * The settings go into banger's configuration folder, which bangerd's engine cannot write: what
 * ssh reads there it may run. */
#include "ssh.h"

#include "../../common/cleanup.h"
#include "../../common/io.h"
#include "client.h"
#include "file.h"
#include "output.h"
#include "session.h"
#include "ssh_fence.h"
#include "ssh_settings.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define USER_CONFIG_MAX (1 << 20) /* bytes */
#define OWN_FILE        "ssh_config"

/* --- files --------------------------------------------------------------------------- */

/* Puts `text` in the place of `path`, at once: with `like`'s mode and group where there was one. */
static int replace(const char *path, const char *text, size_t size, const struct stat *like, struct err *e) {
    char fresh[PATH_MAX + 16];
    (void) snprintf(fresh, sizeof(fresh), "%s.XXXXXX", path);
    cleanup_fd int fd = mkostemp(fresh, O_CLOEXEC);
    if (fd < 0)
        return err_sys(e, errno, "cannot write beside %s", path);
    int r = 0;
    if (like && (fchown(fd, (uid_t) -1, like->st_gid) || fchmod(fd, like->st_mode & 07777)))
        r = -errno;
    if (r == 0)
        r = io_write(fd, text, size);
    if (r == 0 && (fsync(fd) || rename(fresh, path)))
        r = -errno;
    if (r)
        (void) unlink(fresh);
    return r ? err_sys(e, -r, "cannot write %s", path) : 0;
}

/* The block of settings; 0, or -EINVAL. `out` is the caller's to free. */
static int own_text(const struct paths *paths, char **out, struct err *e) {
    size_t size = 0;
    char line[SSH_SETTING_MAX];
    cleanup_file FILE *f = open_memstream(out, &size);
    if (!f)
        return err_set(e, ENOMEM, "not enough memory");
    (void) fputs("# Made by `banger ssh-config`: VMs of banger, as NAME.vm.\nHost *.vm\n", f);
    for (size_t i = 0; i < SSH_SETTINGS; i++) {
        int r = ssh_setting(paths, i, " ", line, e);
        if (r)
            return r;
        (void) fprintf(f, "    %s\n", line);
    }
    return 0;
}

/* --- the user's file ----------------------------------------------------------------- */

struct user_config {
    char path[PATH_MAX]; /* of the file itself, where ~/.ssh/config is a link */
    struct stat st;
    int there, linked;
    char *text; /* malloc'ed */
    size_t size;
    size_t fence_at, fence_size;
};

/* ssh takes the home from the password database, whatever HOME says. */
static int find_user_config(struct user_config *c, struct err *e) {
    struct stat st;
    char folder[PATH_MAX - 8], path[PATH_MAX];
    const struct passwd *account = getpwuid(getuid());
    if (!account || snprintf(folder, sizeof(folder), "%s/.ssh", account->pw_dir) >= (int) sizeof(folder))
        return err_set(e, ENOENT, "user id %u has no home folder for its ssh configuration", getuid());
    if (mkdir(folder, 0700) && errno != EEXIST)
        return err_sys(e, errno, "cannot make %s", folder);
    (void) snprintf(path, sizeof(path), "%s/config", folder);
    if (lstat(path, &st) && errno == ENOENT) {
        (void) snprintf(c->path, sizeof(c->path), "%s", path);
        return 0;
    }
    if (!realpath(path, c->path) || stat(c->path, &c->st))
        return err_sys(e, errno, "cannot follow %s", path);
    c->there = 1;
    c->linked = S_ISLNK(st.st_mode);
    if (!S_ISREG(c->st.st_mode) || c->st.st_uid != geteuid() || c->st.st_nlink > 1)
        return err_set(e, EPERM, "%s is not a file of this account alone%s: include banger's part by hand", c->path,
                       c->st.st_nlink > 1 ? ", but has another name" : "");
    return 0;
}

static int read_user_config(struct user_config *c, struct err *e) {
    int r = find_user_config(c, e);
    c->text = r ? NULL : malloc(USER_CONFIG_MAX + 1);
    if (r == 0 && !c->text)
        r = err_set(e, ENOMEM, "not enough memory");
    ssize_t n = r ? r : file_read(c->path, c->text, USER_CONFIG_MAX + 1, e);
    if (n < 0)
        return (int) n;
    c->size = (size_t) n;
    if (n > USER_CONFIG_MAX)
        return err_set(e, EFBIG, "%s is larger than 1 MiB: include banger's part by hand", c->path);
    r = fence_find(c->text, c->size, &c->fence_at, &c->fence_size, e);
    return r ? err_prefix(e, "%s is left as it is", c->path) : 0;
}

/* 0 while the file is what was read. */
static int check_same(const struct user_config *c, struct err *e) {
    struct stat now;
    const int there = stat(c->path, &now) == 0;
    if (there == c->there && (!there || (now.st_ino == c->st.st_ino && now.st_size == c->st.st_size &&
                                         memcmp(&now.st_mtim, &c->st.st_mtim, sizeof(now.st_mtim)) == 0)))
        return 0;
    return err_set(e, EAGAIN, "%s was changed meanwhile: try again", c->path);
}

/* `fence` (may be "") first, since settings in front of it would win or it would belong to a Host; then
 * all that is the user's. */
static int write_user_config(const struct user_config *c, const char *fence, struct err *e) {
    const size_t first = strlen(fence), size = first + c->size - c->fence_size;
    char *text = malloc(size + 1);
    if (!text)
        return err_set(e, ENOMEM, "not enough memory");
    memcpy(text, fence, first);
    memcpy(text + first, c->text, c->fence_at);
    memcpy(text + first + c->fence_at, c->text + c->fence_at + c->fence_size, c->size - c->fence_at - c->fence_size);
    int r = 0;
    if (size != c->size || memcmp(text, c->text, size) != 0) {
        r = check_same(c, e);
        if (r == 0)
            r = replace(c->path, text, size, c->there ? &c->st : NULL, e);
    }
    free(text);
    return r;
}

/* --- the command --------------------------------------------------------------------- */

/* The fence, which includes `file`; glob(7) and ssh_config(5) have no way to write some names. */
static int make_fence(const char *file, char *out, size_t size, struct err *e) {
    if (strpbrk(file, "\"\\$%*?[]{}~") || strchr(file, '\n'))
        return err_set(
            e, EINVAL,
            "ssh cannot include %s: set XDG_CONFIG_HOME to a folder without quotes and wildcards in its name", file);
    (void) snprintf(out, size, FENCE_BEGIN "\nInclude \"%s\"\n" FENCE_END "\n", file);
    return 0;
}

static int install(const struct paths *paths, const char *file, struct err *e) {
    char fence[PATH_MAX + 256];
    struct user_config c = {0};
    cleanup_free char *own = NULL;
    int r = ssh_settings_prepare(paths, e);
    if (r == 0)
        r = own_text(paths, &own, e);
    if (r == 0)
        r = make_fence(file, fence, sizeof(fence), e);
    if (r == 0)
        r = read_user_config(&c, e);
    if (r == 0)
        r = replace(file, own, strlen(own), NULL, e);
    if (r == 0)
        r = write_user_config(&c, fence, e);
    free(c.text);
    return r;
}

static int uninstall(const char *file, struct err *e) {
    struct user_config c = {0};
    int r = read_user_config(&c, e);
    if (r == 0 && c.fence_size == c.size && c.there && !c.linked) /* without banger there would be none */
        r = unlink(c.path) ? err_sys(e, errno, "cannot remove %s", c.path) : 0;
    else if (r == 0)
        r = write_user_config(&c, "", e);
    free(c.text);
    if (r == 0 && unlink(file) && errno != ENOENT)
        r = err_sys(e, errno, "cannot remove %s", file);
    return r;
}

static int print(const struct paths *paths, struct err *e) {
    cleanup_free char *own = NULL;
    int r = ssh_settings_prepare(paths, e);
    if (r == 0)
        r = own_text(paths, &own, e);
    if (r == 0)
        (void) fputs(own, stdout);
    return r;
}

int command_ssh_config(const struct invocation *in) {
    struct err e = {0};
    char file[PATH_MAX + 16];
    const int installs = options_given(in, OPT_INSTALL), uninstalls = options_given(in, OPT_UNINSTALL);
    if (installs && uninstalls) {
        (void) err_set(&e, EINVAL, "give one of --install and --uninstall");
        output_error(&e);
        return EXIT_USAGE;
    }
    const struct paths *paths = client_paths(&e);
    int r = paths ? 0 : -EIO;
    if (r == 0)
        (void) snprintf(file, sizeof(file), "%s/" OWN_FILE, paths->config);
    if (r == 0)
        r = installs ? install(paths, file, &e) : uninstalls ? uninstall(file, &e) : print(paths, &e);
    return r < 0 ? session_failed(r, &e) : 0;
}
