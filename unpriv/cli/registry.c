#include "registry.h"

#include "../../common/cleanup.h"
#include "../image/reference.h"
#include "client.h"
#include "config.h"
#include "docker.h"
#include "output.h"
#include "session.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#define PLACES_MAX  8 /* image.pull's */
#define NAME_SIZE   64
#define PLACES_SIZE (56 << 10) /* bytes of them in a request, which is 64 KiB at most */

/* --- where, and with which login ------------------------------------------------------ */

static int is_insecure(const char *host) {
    const struct config_registry *r = NULL;
    for (size_t i = 0; (r = config_registry(i)); i++) {
        if (r->insecure && strcmp(r->host, host) == 0)
            return 1;
    }
    return 0;
}

static void add_login(cJSON *endpoint, const char *username, const char *password, const char *token) {
    if (token[0])
        (void) cJSON_AddStringToObject(endpoint, "token", token);
    if (username[0])
        (void) cJSON_AddStringToObject(endpoint, "username", username);
    if (username[0] && !token[0])
        (void) cJSON_AddStringToObject(endpoint, "password", password);
}

/* A login that cannot be found out is no reason not to ask without one. */
static void add_docker_login(cJSON *endpoint, const char *host, struct progress *p) {
    struct docker_login login;
    struct err e = {0};
    if (docker_login_find(host, &login, &e) < 0 && p)
        progress_warn(p, e.text);
    else
        add_login(endpoint, login.username, login.password, login.token);
    explicit_bzero(&login, sizeof(login));
}

static cJSON *add_endpoint(cJSON *list, const char *host, int insecure) {
    cJSON *endpoint = cJSON_CreateObject();
    (void) cJSON_AddStringToObject(endpoint, "host", host);
    (void) cJSON_AddBoolToObject(endpoint, "insecure", insecure || is_insecure(host));
    (void) cJSON_AddItemToArray(list, endpoint);
    return endpoint;
}

/* Mirrors in the order of the file, then the registry itself. */
static cJSON *list_endpoints(const struct reference *ref, const struct registry_pull *pull, struct progress *p) {
    cJSON *list = cJSON_CreateArray();
    const struct config_registry *r = NULL;
    for (size_t i = 0; (r = config_registry(i)) && cJSON_GetArraySize(list) < PLACES_MAX - 1; i++) {
        if (r->mirror[0] && strcmp(r->host, ref->host) == 0)
            add_docker_login(add_endpoint(list, r->mirror, 0), r->mirror, p);
    }
    cJSON *own = add_endpoint(list, ref->host, pull->insecure);
    if (pull->username)
        add_login(own, pull->username, pull->password ? pull->password : "", "");
    else
        add_docker_login(own, ref->host, p);
    return list;
}

/* NULL where their logins are too long to be sent. */
static cJSON *endpoints_of(const struct reference *ref, const struct registry_pull *pull, struct progress *p,
                           struct err *e) {
    cJSON *list = list_endpoints(ref, pull, p);
    cleanup_free char *text = cJSON_PrintUnformatted(list);
    const size_t size = text ? strlen(text) : 0;
    if (text)
        explicit_bzero(text, size);
    if (size > 0 && size <= PLACES_SIZE)
        return list;
    (void) err_set(e, E2BIG,
                   "the logins of the %d places where %s is looked for are too long together, %zu bytes of at most %d: "
                   "list fewer mirrors in config.toml",
                   cJSON_GetArraySize(list), ref->host, size, PLACES_SIZE);
    cJSON_Delete(list);
    return NULL;
}

/* The first of them that is set and not "". */
static const char *variable(const char *const names[3]) {
    const char *text = NULL;
    for (int i = 0; i < 3 && names[i] && !(text && text[0]); i++)
        text = getenv(names[i]);
    return text ? text : "";
}

void registry_add_proxies(cJSON *args) {
    static const char *const any[3] = {"all_proxy", "ALL_PROXY", NULL};
    static const struct {
        const char *key, *names[3];
        int or_any;
    } rows[] = {{"http_proxy", {"http_proxy", "HTTP_PROXY", NULL}, 1},
                {"https_proxy", {"https_proxy", "HTTPS_PROXY", NULL}, 1},
                {"no_proxy", {"no_proxy", "NO_PROXY", NULL}, 0}};
    cJSON *proxies = cJSON_AddObjectToObject(args, "proxies");
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const char *text = variable(rows[i].names);
        text = text[0] || !rows[i].or_any ? text : variable(any);
        if (text[0])
            (void) cJSON_AddStringToObject(proxies, rows[i].key, text);
    }
}

int registry_name(const char *reference, char out[NAME_SIZE], struct err *e) {
    static const char good[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._/:@+-";
    struct reference ref;
    int r = reference_parse(reference, &ref, e);
    if (r < 0)
        return r;
    if (strlen(reference) < NAME_SIZE && strspn(reference, good) == strlen(reference)) {
        (void) snprintf(out, NAME_SIZE, "%s", reference);
        return 0;
    }
    const char *slash = strrchr(ref.path, '/');
    char last[REFERENCE_PATH_MAX + REFERENCE_TAG_MAX];
    (void) snprintf(last, sizeof(last), "%s%s%s", slash ? slash + 1 : ref.path, ref.tag[0] ? ":" : "", ref.tag);
    if (strlen(last) >= NAME_SIZE)
        return err_set(e, ENAMETOOLONG, "%.80s... is too long to be the image's name too: give one with --name",
                       reference);
    (void) snprintf(out, NAME_SIZE, "%.63s", last);
    return 0;
}

/* --- the cache -------------------------------------------------------------------------- */

int registry_cache(struct err *e) {
    char path[PATH_MAX + 16];
    const struct paths *paths = client_paths(e);
    if (!paths)
        return -e->code;
    (void) snprintf(path, sizeof(path), "%s/blobs", paths->cache);
    if (mkdir(path, 0700) < 0 && errno != EEXIST)
        return err_sys(e, errno, "cannot make %s", path);
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    return fd < 0 ? err_sys(e, errno, "cannot open %s", path) : fd;
}

int registry_pull(const struct registry_pull *pull, struct progress *p, cJSON **image, struct err *e) {
    struct reference ref;
    struct platform platform;
    char name[NAME_SIZE], whole[REFERENCE_TEXT_MAX];
    int r = config_load(e);
    if (r == 0)
        r = reference_parse(pull->reference, &ref, e);
    if (r == 0)
        r = platform_parse(pull->platform, &platform, e);
    if (r == 0 && !pull->name)
        r = registry_name(pull->reference, name, e);
    int cache = r < 0 ? r : registry_cache(e);
    if (cache < 0)
        return cache;
    cJSON *endpoints = endpoints_of(&ref, pull, p, e);
    if (!endpoints) {
        (void) close(cache);
        return -e->code;
    }
    cJSON *args = client_named(pull->name ? pull->name : name);
    (void) cJSON_AddStringToObject(args, "reference", reference_text(&ref, whole));
    (void) cJSON_AddStringToObject(args, "platform", pull->platform);
    (void) cJSON_AddStringToObject(args, "kernel", pull->kernel ? pull->kernel : "");
    (void) cJSON_AddNumberToObject(args, "size", (double) pull->size);
    (void) cJSON_AddItemToObject(args, "endpoints", endpoints);
    registry_add_proxies(args);
    struct client_call call = {.op = "image.pull", .args = args, .fds = {cache}, .fd_count = 1, .progress = p};
    if (p)
        progress_line(p, "image %s: %s", pull->name ? pull->name : name, whole);
    return client_request(&call, image, e);
}

/* --- image cache prune -------------------------------------------------------------------- */

struct freed {
    int64_t bytes, blobs;
};

/* One that a pull writes at this moment is locked by it, and stays. What goes is locked meanwhile, so that no pull
 * begins to write it; and it must be the locked file that has the name. */
static int prune_one(int folder, const char *name, int dry, struct freed *freed, struct err *e) {
    struct stat st, held;
    cleanup_fd int fd = openat(folder, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) < 0 && errno == EWOULDBLOCK)
        return 0;
    if (fstatat(folder, name, &st, AT_SYMLINK_NOFOLLOW) || S_ISDIR(st.st_mode) ||
        (fd >= 0 && (fstat(fd, &held) || held.st_ino != st.st_ino)))
        return 0; /* it is gone, or another one by now */
    if (!dry && unlinkat(folder, name, 0))
        return errno == ENOENT ? 0 : err_sys(e, errno, "cannot remove %s from the blob cache", name);
    freed->bytes += (int64_t) st.st_blocks * 512;
    freed->blobs++;
    return 0;
}

static int prune(int cache, int dry, struct freed *freed, struct err *e) {
    int fd = openat(cache, "sha256", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    int r = 0;
    if (!dir)
        return fd < 0 && errno == ENOENT ? 0 : err_sys(e, errno, "cannot read the blob cache");
    for (const struct dirent *d; r == 0 && (d = readdir(dir));)
        r = prune_one(fd, d->d_name, dry, freed, e);
    (void) closedir(dir);
    return r;
}

int command_image_cache(const struct invocation *in) {
    struct err e = {0};
    struct freed freed = {0};
    char size[32];
    const int dry = options_given(in, OPT_DRY_RUN);
    if (strcmp(in->arguments[0], "prune") != 0) {
        (void) err_set(&e, EINVAL,
                       "there is no command `banger image cache %s`: did you mean `banger image cache prune`?",
                       in->arguments[0]);
        output_error(&e);
        return EXIT_USAGE;
    }
    cleanup_fd int cache = registry_cache(&e);
    int r = cache < 0 ? cache : prune(cache, dry, &freed, &e);
    if (r < 0)
        return session_failed(r, &e);
    if (options_given(in, OPT_JSON)) {
        cJSON *out = cJSON_CreateObject();
        (void) cJSON_AddNumberToObject(out, "blobs", (double) freed.blobs);
        (void) cJSON_AddNumberToObject(out, "bytes", (double) freed.bytes);
        (void) cJSON_AddBoolToObject(out, "dry_run", dry);
        output_json(out);
        return 0;
    }
    output_bytes(freed.bytes, size);
    (void) printf("%s %s in %lld blob%s\n", dry ? "would free" : "freed", size, (long long) freed.blobs,
                  freed.blobs == 1 ? "" : "s");
    return 0;
}
