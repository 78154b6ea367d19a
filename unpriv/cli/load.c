#include "load.h"

#include "client.h"
#include "output.h"
#include "session.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

/* "Downloads/my app.tar" is called "my-app". */
static void name_of_file(const char *path, char out[128]) {
    static const char good[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
    static const char *const endings[] = {".gz", ".zst", ".tar", ".tgz"};
    char whole[PATH_MAX];
    (void) snprintf(whole, sizeof(whole), "%s", path);
    size_t size = strlen(whole);
    while (size > 1 && whole[size - 1] == '/')
        whole[--size] = '\0';
    const char *slash = strrchr(whole, '/');
    (void) snprintf(out, 128, "%s", slash ? slash + 1 : whole);
    for (size_t i = 0; i < sizeof(endings) / sizeof(endings[0]); i++) {
        const size_t all = strlen(out), ending = strlen(endings[i]);
        if (all > ending && strcmp(out + all - ending, endings[i]) == 0)
            out[all - ending] = '\0';
    }
    for (char *at = out; *at; at++) {
        if (!strchr(good, *at))
            *at = '-';
    }
}

static cJSON *arguments(const struct invocation *in) {
    char name[128], path[PATH_MAX];
    name_of_file(in->arguments[0], name);
    cJSON *args = client_named(options_text(in, OPT_NAME, name));
    (void) cJSON_AddStringToObject(args, "source", realpath(in->arguments[0], path) ? path : in->arguments[0]);
    (void) cJSON_AddStringToObject(args, "tag", options_text(in, OPT_TAG, ""));
    (void) cJSON_AddStringToObject(args, "platform", options_text(in, OPT_PLATFORM, ""));
    (void) cJSON_AddNumberToObject(args, "size", (double) options_number(in, OPT_SIZE, 0));
    return args;
}

int command_image_load(const struct invocation *in) {
    struct err e = {0};
    struct progress progress;
    cJSON *image = NULL;
    progress_open(&progress, stderr, options_given(in, OPT_QUIET));
    int fd = open(in->arguments[0], O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (fd < 0)
        return session_failed(err_sys(&e, errno, "cannot open %s", in->arguments[0]), &e);
    struct client_call call = {
        .op = "image.load", .args = arguments(in), .fds = {fd}, .fd_count = 1, .progress = &progress};
    int r = client_request(&call, &image, &e);
    if (r < 0)
        return session_failed(r, &e);
    if (options_given(in, OPT_JSON))
        output_json(image);
    else
        cJSON_Delete(image);
    return 0;
}
