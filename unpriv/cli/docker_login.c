/* Where docker's configuration lies, and its credential helpers: what is in them is docker.c's. */
#include "../../common/cleanup.h"
#include "../../common/io.h"
#include "../workspace/process.h"
#include "docker.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static int ask_helper(struct docker_login *login, struct err *e) {
    char program[sizeof(DOCKER_HELPER) + sizeof(login->helper)];
    struct process_output o;
    (void) snprintf(program, sizeof(program), DOCKER_HELPER "%s", login->helper);
    const char *const argv[] = {program, "get", NULL};
    const struct process p = {.argv = argv};
    int r = process_run(&p, login->server, strlen(login->server), &o, e);
    if (r < 0)
        return r;
    if (o.status == 0)
        r = docker_helper_answer(o.out, o.out_size, login, e);
    else if (!strstr(o.out, "not found") && !strstr(o.err, "not found")) /* so they say that there is no login */
        r = err_set(e, EIO, "%s failed: %.200s", program, process_last_line(o.out[0] ? o.out : o.err));
    process_output_free(&o);
    return r;
}

static int read_file(char *text, size_t *size, struct err *e) {
    char path[PATH_MAX];
    struct stat st;
    const char *folder = getenv("DOCKER_CONFIG"), *home = getenv("HOME");
    if (!folder && !home)
        return -ENOENT;
    (void) snprintf(path, sizeof(path), "%s%s/config.json", folder ? folder : home, folder ? "" : "/.docker");
    cleanup_fd int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0)
        return errno == ENOENT || errno == ENOTDIR ? -ENOENT : err_sys(e, errno, "cannot open %s", path);
    ssize_t n = fstat(fd, &st) || !S_ISREG(st.st_mode) ? -EINVAL : io_read_some(fd, text, DOCKER_FILE_MAX);
    if (n < 0 || (size_t) n == DOCKER_FILE_MAX)
        return err_set(e, EINVAL, "%s is no file of less than 1 MiB: correct it, or set DOCKER_CONFIG elsewhere", path);
    *size = (size_t) n;
    return 0;
}

int docker_login_find(const char *host, struct docker_login *out, struct err *e) {
    size_t size = 0;
    memset(out, 0, sizeof(*out));
    char *text = malloc(DOCKER_FILE_MAX);
    int r =
        text ? read_file(text, &size, e) : err_set(e, ENOMEM, "there is not enough memory: free some and try again");
    const int found = r == 0;
    if (found)
        r = docker_config_find(text, size, host, out, e);
    free(text);
    if (r == -ENOENT && !found)
        return 0;
    if (r == 0 && out->helper[0])
        r = ask_helper(out, e);
    return r;
}
