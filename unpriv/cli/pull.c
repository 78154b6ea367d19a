#include "pull.h"

#include "../../common/cleanup.h"
#include "../../common/io.h"
#include "../../common/json.h"
#include "../../common/version.h"
#include "../image/reference.h"
#include "../workspace/process.h"
#include "catalogs.h"
#include "client.h"
#include "local.h"
#include "output.h"
#include "package.h"
#include "signals.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/stat.h>

#define SPLICE_SIZE (1 << 20)
#define LOG_LINES   5

/* --- images ------------------------------------------------------------------ */

struct recipe {
    const struct catalog_image *image;
    char log[PATH_MAX + 128];
    atomic_llong bytes; /* piped so far; read by nobody but tests and messages */
};

/* Moves the recipe's output into the pipe until its end. -EPIPE: the daemon went
 * away; -EINTR: a signal asked us to end. */
static int pump(int from, int to, atomic_llong *bytes) {
    for (;;) {
        struct pollfd p[2] = {{.fd = from, .events = POLLIN}, {.fd = to, .events = 0}};
        if (poll(p, 2, 100) < 0 && errno != EINTR)
            return -errno;
        if (p[1].revents & POLLERR)
            return -EPIPE;
        if (signals_ending())
            return -EINTR;
        if (!p[0].revents)
            continue;
        ssize_t n = splice(from, NULL, to, NULL, SPLICE_SIZE, SPLICE_F_MOVE);
        if (n == 0)
            return 0;
        if (n < 0 && errno != EINTR && errno != EAGAIN)
            return -errno;
        if (n > 0)
            (void) atomic_fetch_add(bytes, n);
    }
}

/* The last lines of a log file on stderr: they say what went wrong. */
static void show_end(const char *path) {
    cleanup_fd int fd = open(path, O_RDONLY | O_CLOEXEC);
    char text[2048];
    off_t size = fd < 0 ? 0 : lseek(fd, 0, SEEK_END);
    off_t from = size > (off_t) sizeof(text) - 1 ? size - (off_t) sizeof(text) + 1 : 0;
    ssize_t n = fd < 0 ? 0 : pread(fd, text, sizeof(text) - 1, from);
    if (n <= 0)
        return;
    text[n] = 0;
    size_t start = strlen(text);
    for (int lines = 0; start > 0 && lines < LOG_LINES;) {
        start--;
        lines += start > 0 && text[start - 1] == '\n';
    }
    char *rest = text + start;
    for (char *line; (line = strsep(&rest, "\n"));) {
        text_sanitize(line);
        if (*line)
            (void) fprintf(stderr, "  | %s\n", line);
    }
}

/* Ends a recipe's process group: asked first, since what it has mounted or made is
 * its own to remove. */
static int end_group(pid_t group) {
    (void) kill(-group, SIGTERM);
    int status = process_wait(group);
    (void) kill(-group, SIGKILL);
    return status;
}

/* The feed: runs the recipe. Its output goes into the pipe, its words into the log. */
static int run_recipe(int to, void *arg, struct err *e) {
    struct recipe *recipe = arg;
    char program[PATH_MAX];
    (void) snprintf(program, sizeof(program), "%s/images/%s/%s.sh", BANGER_DATADIR, recipe->image->kind,
                    recipe->image->kind);
    const char *const argv[] = {program, recipe->image->release, NULL};
    cleanup_fd int log = open(recipe->log, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    int ends[2];
    if (log < 0 || pipe2(ends, O_CLOEXEC) < 0)
        return err_sys(e, errno, "cannot write %s", recipe->log);
    cleanup_fd int from = ends[0];
    (void) fcntl(from, F_SETPIPE_SZ, SPLICE_SIZE);
    struct process p = {.argv = argv, .in = -1, .out = ends[1], .err = log, .own_group = 1};
    pid_t pid = 0;
    int r = process_start(&p, &pid, e);
    (void) close(ends[1]);
    if (r < 0)
        return r;
    r = pump(from, to, &recipe->bytes);
    int status = r < 0 ? end_group(pid) : process_wait(pid);
    if (r < 0)
        return r == -EPIPE ? r : err_sys(e, -r, "the recipe of image %s was cut off", recipe->image->name);
    if (status == 0)
        return 0;
    show_end(recipe->log);
    return err_set(e, EIO, "the recipe of image %s failed with status %d: its output is in %s", recipe->image->name,
                   status, recipe->log);
}

static int log_path(const char *name, char out[PATH_MAX + 128], struct err *e) {
    const struct paths *paths = client_paths(e);
    if (!paths)
        return -e->code;
    (void) snprintf(out, PATH_MAX + 128, "%s/log", paths->cache);
    if (mkdir(out, 0700) < 0 && errno != EEXIST)
        return err_sys(e, errno, "cannot make %s", out);
    (void) snprintf(out, PATH_MAX + 128, "%s/log/image-%.50s.log", paths->cache, name);
    return 0;
}

/* What each operation is told of a catalog's image. */
static cJSON *entry_arguments(const struct catalog_image *image) {
    cJSON *args = client_named(image->name);
    (void) cJSON_AddStringToObject(args, "kernel", image->kernel);
    return args;
}

static int pull_recipe(const struct catalog_image *image, int64_t size, struct progress *p, struct err *e) {
    struct recipe recipe = {.image = image};
    struct feed feed;
    int r = log_path(image->name, recipe.log, e);
    int from = r < 0 ? r : feed_start(&feed, run_recipe, &recipe, e);
    if (from < 0)
        return from;
    cJSON *args = entry_arguments(image);
    (void) cJSON_AddNumberToObject(args, "size", (double) size);
    (void) cJSON_AddStringToObject(args, "kind", image->kind);
    (void) cJSON_AddStringToObject(args, "source", image->name);
    struct client_call call = {
        .op = "image.import", .args = args, .fds = {from}, .fd_count = 1, .feed = &feed, .progress = p};
    return client_request(&call, NULL, e);
}

/* --- bundles ----------------------------------------------------------------- */

static void add_hex(cJSON *args, const char *key, const uint8_t *bytes, size_t size) {
    char text[2 * 64 + 1] = "";
    for (size_t i = 0; i < size && 2 * i + 2 < sizeof(text); i++)
        (void) snprintf(text + 2 * i, 3, "%02x", bytes[i]);
    (void) cJSON_AddStringToObject(args, key, text);
}

/* The file; of one that is elsewhere the cache that it is fetched into. */
static int open_bundle(const struct catalog_image *image, struct err *e) {
    struct stat st;
    if (image->url[0] != '/')
        return registry_cache(e);
    cleanup_fd int fd = open(image->url, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0)
        return err_sys(e, errno, "cannot open the bundle %s of image %s", image->url, image->name);
    if (fstat(fd, &st) || !S_ISREG(st.st_mode) || st.st_size != image->size)
        return err_set(e, EBADMSG, "the bundle %s is not the file of %lld bytes that the catalog has: get it again",
                       image->url, (long long) image->size);
    return take_fd(&fd);
}

/* The catalog says whose signature it is; what is in the file is for banger-import to check. */
static int pull_bundle(const struct catalog_image *image, int64_t size, struct progress *p, struct err *e) {
    if (size)
        return err_set(e, EINVAL, "a bundle's image has the size it has: leave --size out");
    const struct minisign_keys *keys = catalogs_keys(e);
    const struct minisign_key *key = keys ? minisign_signer(keys, &image->signature, image->url, e) : NULL;
    if (!key)
        return -e->code;
    int fd = open_bundle(image, e);
    if (fd < 0)
        return fd;
    cJSON *args = entry_arguments(image);
    (void) cJSON_AddStringToObject(args, "source", image->url);
    (void) cJSON_AddStringToObject(args, "sha256", image->sha256);
    (void) cJSON_AddNumberToObject(args, "bytes", (double) image->size);
    add_hex(args, "key", key->bytes, sizeof(key->bytes));
    registry_add_proxies(args);
    add_hex(args, "signature", image->signature.bytes, sizeof(image->signature.bytes));
    struct client_call call = {.op = "image.bundle", .args = args, .fds = {fd}, .fd_count = 1, .progress = p};
    return client_request(&call, NULL, e);
}

/* --- by name ------------------------------------------------------------------- */

static int pull_oci(const struct catalog_image *image, int64_t size, struct progress *p, struct err *e) {
    const struct registry_pull pull = {
        .reference = image->reference, .name = image->name, .platform = "", .size = size, .kernel = image->kernel};
    return registry_pull(&pull, p, NULL, e);
}

static const struct {
    const char *name;
    int (*pull)(const struct catalog_image *image, int64_t size, struct progress *p, struct err *e);
} kinds[] = {{"debian", pull_recipe}, {"oci", pull_oci}, {"bundle", pull_bundle}};

int pull_image(const char *name, int64_t size, struct progress *p, struct err *e) {
    const struct catalog_image *image = catalogs_image(name, e);
    if (!image)
        return -e->code;
    (void) signals_open();
    if (p)
        progress_line(p, "image %s: %s", image->name, image->text[0] ? image->text : image->kind);
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        if (strcmp(kinds[i].name, image->kind) == 0)
            return kinds[i].pull(image, size, p, e);
    }
    return -EINVAL; /* the catalog has no other kinds */
}

int pull_anywhere(const struct registry_pull *pull, struct progress *p, cJSON **image, struct err *e) {
    const struct catalog *known = catalogs(e);
    if (!known)
        return -e->code;
    if (strpbrk(pull->reference, "/:@") && !catalog_image(known, pull->reference))
        return registry_pull(pull, p, image, e); /* which says what is wrong with a reference that is none */
    if (pull->name || pull->kernel || pull->platform[0] || pull->username || pull->insecure)
        return err_set(e, EINVAL,
                       "%s is a catalog's name, and --name, --kernel-ref, --platform, --username and --insecure are "
                       "for a registry's "
                       "image: give that with its tag, as in %.60s:latest",
                       pull->reference, pull->reference);
    struct reference ref;
    if (!catalog_image(known, pull->reference) && reference_parse(pull->reference, &ref, e) == 0)
        return err_set(e, ENOENT,
                       "no image is named %s, here or in the catalog: `banger image list --available` shows both; a "
                       "registry's image is given with its tag, as in %.60s:latest",
                       pull->reference, pull->reference);
    int r = pull_image(pull->reference, pull->size, p, e);
    return r == 0 && image ? client_simple("image.show", client_named(pull->reference), image, e) : r;
}

/* --- kernels ----------------------------------------------------------------- */

/* kernel.import of the open file `fd` (taken). */
static int import_kernel(const char *name, const char *source, int fd, int replace, struct progress *p, struct err *e) {
    static const char agent_path[] = BANGER_LIBEXECDIR "/banger-agent";
    int agent = open(agent_path, O_RDONLY | O_CLOEXEC);
    if (agent < 0) {
        (void) close(fd);
        return err_sys(e, errno, "cannot open %s (install banger with `make install`)", agent_path);
    }
    cJSON *args = client_named(name);
    (void) cJSON_AddStringToObject(args, "source", source);
    (void) cJSON_AddBoolToObject(args, "replace", replace);
    struct client_call call = {.op = "kernel.import", .args = args, .fds = {fd, agent}, .fd_count = 2, .progress = p};
    return client_request(&call, NULL, e);
}

static int dup_of(int fd) {
    return fcntl(fd, F_DUPFD_CLOEXEC, 3);
}

int pull_kernel_from(const char *name, const char *from, const char *modules, int replace, struct progress *p,
                     struct err *e) {
    const struct paths *paths = client_paths(e);
    if (!paths)
        return -e->code;
    if (p)
        progress_update(p, "kernel", from, 0, 0);
    cleanup_fd int fd = package_open(paths, from, modules, e);
    if (fd < 0)
        return fd;
    int r = import_kernel(name, from, dup_of(fd), replace, p, e);
    if (r == 0)
        package_keep(paths, name, fd);
    return r;
}

int pull_kernel(const char *name, int replace, struct progress *p, struct err *e) {
    const struct catalog_kernel *kernel = catalogs_kernel(name, e);
    return kernel ? pull_kernel_from(name, kernel->package, NULL, replace, p, e) : -e->code;
}

static int daemon_is_ours(void) {
    cJSON *status = NULL;
    int r = client_simple("daemon.status", NULL, &status, NULL);
    int ours = r == 0 && strcmp(output_member(status, "version"), BANGER_STAMP) == 0;
    cJSON_Delete(status);
    return ours;
}

/* A kernel whose initramfs holds an agent of another build is made again from the
 * kept package; where that is gone, from the catalog. */
static int refresh_kernel(const char *name, const cJSON *record, struct progress *p, struct err *e) {
    const struct paths *paths = client_paths(e);
    if (!paths)
        return -e->code;
    if (!daemon_is_ours()) { /* it would give the kernel its own stamp again */
        if (p)
            progress_warn(p, "bangerd is of another build than this banger: `banger daemon stop` lets the next command "
                             "start the one installed");
        return 0;
    }
    int fd = package_kept(paths, name);
    if (fd >= 0)
        return import_kernel(name, output_member(record, "source"), fd, 1, p, e);
    struct err why = {0};
    if (catalogs_kernel(name, &why))
        return pull_kernel(name, 1, p, e);
    if (p)
        progress_warn(p, "the kernel holds the agent of another banger: import it again with `banger kernel import`");
    return 0;
}

/* --- both -------------------------------------------------------------------- */

static int need_kernel(const char *kernel, struct progress *p, struct err *e) {
    cJSON *record = NULL;
    int r = client_simple("kernel.show", client_named(kernel), &record, e);
    if (r == -ENOENT)
        r = pull_kernel(kernel, 0, p, e);
    else if (r == 0 && strcmp(output_member(record, "agent"), BANGER_STAMP) != 0)
        r = refresh_kernel(kernel, record, p, e);
    cJSON_Delete(record);
    return r;
}

int pull_needed(const char *image, const char *kernel, struct needed *needed, struct progress *p, struct err *e) {
    cJSON *record = NULL;
    int r = client_simple("image.show", client_named(image), &record, e);
    if (r == -ENOENT)
        r = pull_anywhere(&(const struct registry_pull){.reference = image, .platform = ""}, p, &record, e);
    if (r < 0)
        return r;
    const char *own = output_member(record, "kernel");
    (void) snprintf(needed->kernel, sizeof(needed->kernel), "%s",
                    kernel ? kernel
                    : *own ? own
                           : CATALOG_DEFAULT_KERNEL);
    r = local_files(record, needed->files, e);
    cJSON_Delete(record);
    return r ? r : need_kernel(needed->kernel, p, e);
}
