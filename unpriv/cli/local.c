#include "local.h"

#include "../../common/cleanup.h"
#include "../image/superblock.h"
#include "catalogs.h"
#include "client.h"
#include "output.h"
#include "pull.h"
#include "session.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#define PATH_MOST 255 /* what a record keeps */

static int open_rootfs(const char *path, struct err *e) {
    cleanup_fd int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0)
        return err_sys(e, errno, "cannot open %s", path);
    return superblock_check_file(fd, e) ? err_prefix(e, "%s cannot be an image", path) : take_fd(&fd);
}

int local_open(const cJSON *image, struct err *e) {
    int fd = open_rootfs(output_member(image, "path"), e);
    return fd < 0 ? err_prefix(e, "image %s", output_member(image, "name")) : fd;
}

int local_files(const cJSON *image, int files[2], struct err *e) {
    files[0] = files[1] = -1;
    if (strcmp(output_member(image, "kind"), LOCAL_REGISTERED) != 0)
        return 0;
    for (int i = 0; i < 2; i++) {
        files[i] = local_open(image, e);
        if (files[i] < 0)
            return files[i]; /* the first one ends with the process */
    }
    return 0;
}

/* --- image register ---------------------------------------------------------- */

static int must_be_new(const char *name, struct err *e) {
    cJSON *image = NULL;
    int r = client_simple("image.show", client_named(name), &image, e);
    cJSON_Delete(image);
    if (r == 0)
        return err_set(e, EEXIST, "image %s already exists: choose another name, or delete it first", name);
    return r == -ENOENT ? 0 : r;
}

static int absolute(const char *path, char out[PATH_MAX], struct err *e) {
    if (!realpath(path, out))
        return err_sys(e, errno, "cannot find %s", path);
    if (strlen(out) > PATH_MOST)
        return err_set(e, ENAMETOOLONG, "%s is longer than %d bytes: move the file to a shorter path", out, PATH_MOST);
    return 0;
}

/* The kernel that is named, or one made of what is given, under the image's name. */
static int get_kernel(const struct invocation *in, const char *name, struct progress *p, struct err *e) {
    const char *ref = options_text(in, OPT_KERNEL_REF, NULL);
    if (!ref)
        return pull_kernel_from(name, options_text(in, OPT_KERNEL, ""), options_text(in, OPT_MODULES, NULL), 0, p, e);
    cJSON *kernel = NULL;
    int r = client_simple("kernel.show", client_named(ref), &kernel, e);
    cJSON_Delete(kernel);
    if (r == -ENOENT)
        r = catalogs_kernel(ref, e) ? 0 : -e->code; /* pulled by the first VM that needs it */
    return r;
}

static int do_register(const struct invocation *in, const char *name, struct progress *p, struct err *e) {
    const char *ref = options_text(in, OPT_KERNEL_REF, NULL);
    char path[PATH_MAX];
    int r = absolute(options_text(in, OPT_ROOTFS, ""), path, e);
    cleanup_fd int fd = r ? -1 : open_rootfs(path, e);
    if (fd < 0)
        return -e->code;
    r = must_be_new(name, e);
    if (r == 0)
        r = get_kernel(in, name, p, e);
    if (r)
        return r;
    cJSON *args = client_named(name);
    (void) cJSON_AddStringToObject(args, "source", path);
    (void) cJSON_AddStringToObject(args, "kernel", ref ? ref : name);
    struct client_call call = {.op = "image.register", .args = args, .fds = {take_fd(&fd)}, .fd_count = 1};
    r = client_request(&call, NULL, e);
    if (r && !ref)
        (void) client_simple("kernel.delete", client_named(name), NULL, NULL);
    return r;
}

/* 0 or -EINVAL with a sentence. */
static int check_options(const struct invocation *in, struct err *e) {
    if (options_given(in, OPT_INITRD))
        return err_set(e, EINVAL,
                       "a VM's initrd is banger's own, with its agent in it: leave --initrd out, and give the kernel's "
                       "modules with --modules");
    if (!options_given(in, OPT_NAME) || !options_given(in, OPT_ROOTFS) ||
        options_given(in, OPT_KERNEL) == options_given(in, OPT_KERNEL_REF))
        return err_set(e, EINVAL, "give --name, --rootfs, and one of --kernel and --kernel-ref");
    if (options_given(in, OPT_MODULES) && !options_given(in, OPT_KERNEL))
        return err_set(e, EINVAL, "--modules goes with --kernel: what --kernel-ref names has its own");
    return 0;
}

int command_image_register(const struct invocation *in) {
    struct err e = {0};
    struct progress progress;
    if (check_options(in, &e)) {
        output_error(&e);
        return EXIT_USAGE;
    }
    progress_open(&progress, stderr, options_given(in, OPT_QUIET));
    int r = do_register(in, options_text(in, OPT_NAME, ""), &progress, &e);
    return r < 0 ? session_failed(r, &e) : 0;
}

/* --- image promote ----------------------------------------------------------- */

static int promote(const char *name, struct progress *p, struct err *e) {
    cJSON *image = NULL;
    int r = client_simple("image.show", client_named(name), &image, e);
    int fd = r ? r : local_open(image, e);
    cJSON_Delete(image);
    if (fd < 0)
        return fd;
    struct client_call call = {
        .op = "image.promote", .args = client_named(name), .fds = {fd}, .fd_count = 1, .progress = p};
    return client_request(&call, NULL, e);
}

int command_image_promote(const struct invocation *in) {
    struct err e = {0};
    struct progress progress;
    progress_open(&progress, stderr, options_given(in, OPT_QUIET));
    int r = promote(in->arguments[0], &progress, &e);
    return r < 0 ? session_failed(r, &e) : 0;
}
