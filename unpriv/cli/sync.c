#include "sync.h"

#include "../../common/cleanup.h"
#include "../../common/io.h"
#include "../workspace/workspace.h"
#include "channel.h"
#include "client.h"
#include "output.h"
#include "provision.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

struct sync {
    const char *vm, *folder; /* its name, the workspace's folder in it */
    struct workspace workspace;
    int tar;        /* a file that has no name */
    int streams[3]; /* of the command under way in the guest; no input: -1 */
    struct progress *progress;
    struct channel_end end;
};

/* --- bringing the files ------------------------------------------------------ */

/* All of it before the guest changes anything: what goes wrong here changes nothing there. */
static int make_tar(struct sync *s, const struct workspace_options *options, struct err *e) {
    int r = workspace_prepare(options, &s->workspace, e);
    if (r < 0)
        return r;
    s->tar = open(options->cache, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (s->tar < 0)
        return err_sys(e, errno, "cannot make a file in %s", options->cache);
    r = workspace_write_tar(&s->workspace, NULL, s->tar, e);
    return r == 0 && lseek(s->tar, 0, SEEK_SET) < 0 ? err_sys(e, errno, "cannot read the workspace's files") : r;
}

static int carry(const char *name, const cJSON *line, int fd, void *arg, struct err *e) {
    struct sync *s = arg;
    (void) line;
    if (strcmp(name, "exec") != 0 || fd < 0) {
        if (fd >= 0)
            (void) close(fd);
        return 0;
    }
    const struct channel_options options = {.input = s->streams[0] >= 0, .streams = s->streams};
    progress_finish(s->progress, 0);
    int r = channel_run(fd, &options, &s->end, e);
    return r == 0 && s->end.interrupted ? -EINTR : r;
}

/* 1 when the guest's checkout was made of what the host has now; 0 also when it does not say. */
static int is_there(struct sync *s, struct err *e) {
    char path[PATH_MAX], state[GIT_OID_MAX] = "";
    cleanup_fd int nothing = open("/dev/null", O_WRONLY | O_CLOEXEC);
    cleanup_fd int answer = memfd_create("state", MFD_CLOEXEC);
    if (nothing < 0 || answer < 0)
        return err_sys(e, errno, "cannot ask the guest for its workspace");
    s->streams[0] = -1;
    s->streams[1] = answer;
    s->streams[2] = nothing;
    (void) snprintf(path, sizeof(path), "%s/.git/banger-host", s->folder);
    cJSON *args = client_named(s->vm);
    (void) cJSON_AddStringToObject(args, "cwd", "/");
    cJSON *argv = cJSON_AddArrayToObject(args, "argv");
    (void) cJSON_AddItemToArray(argv, cJSON_CreateString("cat"));
    (void) cJSON_AddItemToArray(argv, cJSON_CreateString(path));
    struct client_call call = {.op = "vm.exec", .args = args, .event = carry, .arg = s, .progress = s->progress};
    int r = client_request(&call, NULL, e);
    if (r == 0 && pread(answer, state, sizeof(state) - 1, 0) < 0)
        r = err_sys(e, errno, "cannot read what the guest said");
    return r < 0 ? r : strcmp(state, s->workspace.state) == 0;
}

/* One part of sync.sh, with that on its standard input. */
static int run_part(struct sync *s, const char *part, int input, struct err *e) {
    s->streams[0] = input;
    s->streams[1] = s->streams[2] = STDERR_FILENO;
    cJSON *args = client_named(s->vm);
    const struct workspace *w = &s->workspace;
    const char *const words[] = {part, s->folder, w->branch, w->head, w->state, NULL};
    if (provision_script(args, "sync.sh", words, e)) {
        cJSON_Delete(args);
        return -e->code;
    }
    struct client_call call = {.op = "vm.exec", .args = args, .event = carry, .arg = s, .progress = s->progress};
    int r = client_request(&call, NULL, e);
    if (r == 0 && s->end.status != 0)
        r = err_set(e, ECHILD, "the workspace of VM %s could not be brought up to date: what it printed says why",
                    s->vm);
    return r;
}

/* First the files' names alone: what has to make room for them cannot be known while a tar is unpacked. */
static int bring(struct sync *s, struct err *e) {
    const struct workspace *w = &s->workspace;
    cleanup_fd int names = memfd_create("names", MFD_CLOEXEC);
    int r = names < 0 ? -errno : io_write(names, w->files, w->files_size);
    if (r < 0 || lseek(names, 0, SEEK_SET) < 0)
        return err_sys(e, r ? -r : errno, "cannot write the list of files");
    r = run_part(s, "keep", names, e);
    return r < 0 ? r : run_part(s, "take", s->tar, e);
}

/* The VM's record follows once the files are there. */
static int note(const struct sync *s, struct err *e) {
    cJSON *args = client_named(s->vm);
    (void) cJSON_AddStringToObject(args, "head", s->workspace.repo.head);
    return client_simple("vm.set", args, NULL, e);
}

/* Nothing where nothing on the host has changed: what the guest changed stays then. */
static int update(struct sync *s, const char *source, struct err *e) {
    const struct paths *paths = client_paths(e);
    if (!paths)
        return -e->code;
    const struct workspace_options options = {.path = source, .cache = paths->cache};
    int r = workspace_open(&options, &s->workspace, e);
    if (r == 0)
        r = is_there(s, e);
    if (r != 0)
        return r < 0 ? r : 0;
    r = make_tar(s, &options, e);
    return r == 0 ? bring(s, e) : r;
}

static int prepare(const cJSON *vm, struct progress *progress, struct err *e) {
    cleanup_free struct sync *s = calloc(1, sizeof(*s));
    if (!s)
        return err_set(e, ENOMEM, "not enough memory");
    s->vm = output_member(vm, "name");
    s->folder = output_member(vm, "workspace");
    s->progress = progress;
    s->tar = -1;
    int r = update(s, output_member(vm, "source"), e);
    if (r == 0 && strcmp(output_member(vm, "head"), s->workspace.repo.head) != 0)
        r = note(s, e);
    if (s->tar >= 0)
        (void) close(s->tar);
    workspace_close(&s->workspace);
    return r;
}

/* --- looking ----------------------------------------------------------------- */

/* 1 when the repository's HEAD can be read and is another: `now`. */
static int has_moved(const cJSON *vm, char now[GIT_OID_MAX], struct err *e) {
    struct git_repo repo = {0};
    (void) snprintf(repo.top, sizeof(repo.top), "%s", output_member(vm, "source"));
    return git_commit(&repo, "HEAD", now, e) == 0 && strcmp(now, output_member(vm, "head")) != 0;
}

static int look(const struct invocation *in, const cJSON *vm, struct progress *progress, struct err *e) {
    char now[GIT_OID_MAX];
    struct err unread = {0};
    const char *head = output_member(vm, "head"), *source = output_member(vm, "source");
    if (options_given(in, OPT_AUTO_PREPARE))
        return *source
                   ? prepare(vm, progress, e)
                   : err_set(e, EINVAL, "VM %s has no workspace for --auto-prepare to bring up to date: leave it out",
                             output_member(vm, "name"));
    if (*source && has_moved(vm, now, &unread))
        progress_line(progress, "the repository %s has moved on, from %.12s to %.12s: --auto-prepare brings it here",
                      source, *head ? head : "no commit", now);
    return 0;
}

int sync_workspace(const struct invocation *in, struct progress *progress, struct err *e) {
    cJSON *vm = NULL;
    if (options_given(in, OPT_CWD) && !options_given(in, OPT_AUTO_PREPARE))
        return 0; /* it says where to, and that need not be the workspace */
    int r = client_simple("vm.show", client_named(in->arguments[0]), &vm, e);
    if (r == 0)
        r = look(in, vm, progress, e);
    cJSON_Delete(vm);
    return r;
}
