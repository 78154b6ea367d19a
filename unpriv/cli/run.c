#include "run.h"

#include "../../common/cleanup.h"
#include "../../common/fdpass.h"
#include "../workspace/workspace.h"
#include "client.h"
#include "config.h"
#include "ipv6.h"
#include "key.h"
#include "output.h"
#include "provision.h"
#include "publish.h"
#include "pull.h"
#include "session.h"
#include "signals.h"

#include <errno.h>
#include <string.h>

/* One `vm run` or `vm create`. */
struct launch {
    const struct invocation *in;
    const char *image;
    struct needed needed;
    struct progress progress;
    struct workspace workspace;
    int has_workspace;
    const char *tools; /* the file by which the workspace asks for tools that are to be installed, or NULL */
    char key[KEY_TEXT_MAX];
    struct feed feed;
    struct session session;
    struct err error;
};

static void print_spec(struct launch *l) {
    char disk[32], room[32];
    const int64_t more = config_number(l->in, CONFIG_OVERLAY_SIZE);
    output_size(config_number(l->in, CONFIG_DISK_SIZE), disk);
    output_size(more, room);
    progress_line(&l->progress, "spec: %lld vcpu | %lld MiB | %s disk%s%s%s",
                  (long long) config_number(l->in, CONFIG_VCPU), (long long) config_number(l->in, CONFIG_MEMORY), disk,
                  more ? " | " : "", more ? room : "", more ? " more in /" : "");
}

static const char *egress(const struct launch *l) {
    return options_text(l->in, OPT_EGRESS, options_given(l->in, OPT_NAT) ? "nat" : "none");
}

/* Of IPv6 the way out is the host's own matter: nothing is switched on for it. */
static void say_ipv6(struct launch *l) {
    if (!options_given(l->in, OPT_IPV6))
        return;
    if (strncmp(egress(l), "allow=", 6) == 0)
        progress_line(&l->progress, "IPv6 ends at this host: a list of --egress opens IPv4 alone");
    else if (ipv6_reach() == IPV6_HERE)
        progress_line(&l->progress, "IPv6 ends at this host, which forwards none (net.ipv6.conf.all.forwarding is 0)");
}

/* The arguments of vm.create, which vm.run shares. */
static cJSON *machine_arguments(const struct launch *l) {
    cJSON *args = cJSON_CreateObject();
    const char *name = options_text(l->in, OPT_NAME, NULL);
    if (name)
        (void) cJSON_AddStringToObject(args, "name", name);
    (void) cJSON_AddStringToObject(args, "image", l->image);
    (void) cJSON_AddStringToObject(args, "kernel", l->needed.kernel);
    (void) cJSON_AddNumberToObject(args, "vcpus", (double) config_number(l->in, CONFIG_VCPU));
    (void) cJSON_AddNumberToObject(args, "memory_mib", (double) config_number(l->in, CONFIG_MEMORY));
    (void) cJSON_AddNumberToObject(args, "disk", (double) config_number(l->in, CONFIG_DISK_SIZE));
    (void) cJSON_AddStringToObject(args, "root_disk", config_text(l->in, CONFIG_ROOT_DISK));
    (void) cJSON_AddNumberToObject(args, "root_room", (double) config_number(l->in, CONFIG_OVERLAY_SIZE));
    (void) cJSON_AddStringToObject(args, "vmm", config_text(l->in, CONFIG_VMM));
    (void) cJSON_AddStringToObject(args, "egress", egress(l));
    if (options_given(l->in, OPT_IPV6))
        (void) cJSON_AddTrueToObject(args, "ipv6");
    if (l->in->port_count > 0)
        (void) cJSON_AddItemToObject(args, "publish", publish_arguments(l->in));
    (void) cJSON_AddBoolToObject(args, "start", !options_given(l->in, OPT_NO_START));
    if (l->has_workspace) {
        (void) cJSON_AddStringToObject(args, "workspace", WORKSPACE_GUEST_PATH);
        (void) cJSON_AddStringToObject(args, "source", l->workspace.repo.top);
        (void) cJSON_AddStringToObject(args, "head", l->workspace.repo.head);
    }
    return args;
}

/* --- the workspace ----------------------------------------------------------- */

static int workspace_of(struct launch *l, struct workspace_options *options) {
    const struct paths *paths = client_paths(&l->error);
    if (!paths)
        return -l->error.code;
    *options = (struct workspace_options){.path = l->in->arguments[0],
                                          .branch = options_text(l->in, OPT_BRANCH, NULL),
                                          .from = options_text(l->in, OPT_FROM, NULL),
                                          .include_untracked = options_given(l->in, OPT_INCLUDE_UNTRACKED),
                                          .cache = paths->cache};
    return workspace_open(options, &l->workspace, &l->error);
}

static void say_left_out(struct launch *l) {
    const struct workspace *w = &l->workspace;
    if (w->untracked > 0)
        progress_line(&l->progress, "%zu untracked file%s left out: --include-untracked takes %s along", w->untracked,
                      w->untracked == 1 ? " is" : "s are", w->untracked == 1 ? "it" : "them");
    if (w->other_commit)
        progress_line(&l->progress, "the files are those of %.12s: what is not committed stays here", w->head);
}

static void find_tools(const char *path, void *arg) {
    static const char *const names[] = {".mise.toml", "mise.toml", ".tool-versions"};
    struct launch *l = arg;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (strcmp(path, names[i]) == 0)
            l->tools = names[i];
    }
}

/* What would fail in a log that nobody reads is said before anything is made. */
static int look_for_tools(struct launch *l) {
    if (!l->has_workspace || l->in->after_count > 0 || options_given(l->in, OPT_NO_BOOTSTRAP))
        return 0;
    workspace_each(&l->workspace, find_tools, l);
    if (l->tools && strcmp(egress(l), "none") == 0)
        return err_set(&l->error, ENETUNREACH,
                       "the tools of %s are installed over the network, which this VM would not have: add --nat, "
                       "or --no-bootstrap to do without them",
                       l->tools);
    if (l->tools)
        progress_line(&l->progress,
                      "the tools of %s are installed meanwhile: "
                      "/root/.cache/banger/vm-run-tooling-%s.log in the guest",
                      l->tools, strrchr(l->workspace.repo.top, '/') + 1);
    return 0;
}

static void print_path(const char *path, void *arg) {
    (void) arg;
    (void) puts(path);
}

static int dry_run(struct launch *l) {
    progress_line(&l->progress, "mode: shallow git metadata and the files below, to %s", WORKSPACE_GUEST_PATH);
    workspace_each(&l->workspace, print_path, NULL);
    return 0;
}

static int write_stream(int fd, void *arg, struct err *e) {
    const struct launch *l = arg;
    return workspace_write_tar(l->has_workspace ? &l->workspace : NULL, l->key, fd, e);
}

/* --- the request ------------------------------------------------------------- */

/* An account that may not use banger hears so before an image is pulled for it. */
static int may_use(struct err *e) {
    if (access(BANGER_LIBEXECDIR "/banger-helper", X_OK) == 0)
        return 0;
    if (errno == ENOENT)
        return err_set(e, ENOENT, "banger's helper is not installed: an administrator runs `make install`");
    return err_set(e, EACCES,
                   "this account may not use banger: an administrator adds it to the group banger (`usermod -aG "
                   "banger NAME`), then log in again");
}

/* What has to be there before: key, images, the workspace's metadata. */
static int prepare(struct launch *l, const struct workspace_options *options) {
    const struct paths *paths = client_paths(&l->error);
    if (!paths)
        return -l->error.code;
    int r = may_use(&l->error);
    if (r == 0)
        r = publish_check(l->in, &l->error);
    if (r == 0)
        r = key_public(paths, l->key, &l->error);
    if (r == 0)
        r = pull_needed(l->image, options_text(l->in, OPT_KERNEL, NULL), &l->needed, &l->progress, &l->error);
    if (r == 0 && l->has_workspace)
        r = workspace_prepare(options, &l->workspace, &l->error);
    return r;
}

/* Sends `call` with the stream attached. */
static int request(struct launch *l, struct client_call *call, cJSON **result) {
    const char *name = strrchr(l->workspace.repo.top, '/');
    int r = provision_vm(call->args, options_given(l->in, OPT_WITH_SSH), WORKSPACE_GUEST_PATH,
                         l->tools ? name + 1 : NULL, &l->error);
    int from = r < 0 ? r : feed_start(&l->feed, write_stream, l, &l->error);
    if (from < 0) {
        cJSON_Delete(call->args);
        return from;
    }
    for (int i = 0; i < 2 && l->needed.files[i] >= 0; i++)
        call->fds[call->fd_count++] = take_fd(&l->needed.files[i]);
    call->fds[call->fd_count++] = from;
    call->feed = &l->feed;
    call->progress = &l->progress;
    return client_request(call, result, &l->error);
}

static void print_ways_in(const struct launch *l, const cJSON *vm) {
    const char *name = output_member(vm, "name");
    if (options_given(l->in, OPT_JSON)) {
        output_json(cJSON_Duplicate(vm, 1));
    } else if (options_given(l->in, OPT_QUIET)) {
        (void) puts(name);
    } else if (options_given(l->in, OPT_NO_START)) {
        (void) printf("%s is made; start it with `banger vm start %s`\n", name, name);
    } else {
        (void) printf("%s is running at %s\nshell:  banger vm exec %s\nremove: banger vm delete %s\n", name,
                      output_member(vm, "address"), name, name);
    }
}

/* vm.create, for `vm create` and `vm run --detach`. */
static int create(struct launch *l) {
    l->session.progress = &l->progress;
    struct client_call call = {
        .op = "vm.create", .args = machine_arguments(l), .event = session_event, .arg = &l->session};
    cJSON *vm = NULL;
    int r = request(l, &call, &vm);
    if (r < 0)
        return session_failed(r, &l->error);
    print_ways_in(l, vm);
    cJSON_Delete(vm);
    return 0;
}

static int run(struct launch *l) {
    cJSON *args = machine_arguments(l);
    l->session.progress = &l->progress;
    session_arguments(&l->session, l->in, l->has_workspace ? WORKSPACE_GUEST_PATH : "", args);
    (void) cJSON_AddBoolToObject(args, "remove", options_given(l->in, OPT_RM));
    (void) cJSON_AddBoolToObject(args, "image_command", l->in->after_count == 0 && !l->has_workspace);
    struct client_call call = {.op = "vm.run", .args = args, .event = session_event, .arg = &l->session};
    cJSON *result = NULL;
    int r = request(l, &call, &result);
    int status = session_status(&l->session, r, result, &l->error);
    cJSON_Delete(result);
    if (l->session.name[0] && l->in->after_count == 0 && !options_given(l->in, OPT_RM))
        progress_line(&l->progress,
                      "%s goes on running: `banger vm exec %s` comes back, `banger vm delete %s` removes it",
                      l->session.name, l->session.name, l->session.name);
    return status;
}

static void open_launch(struct launch *l, const struct invocation *in) {
    memset(l, 0, sizeof(*l));
    l->in = in;
    l->image = config_text(in, CONFIG_IMAGE);
    l->needed.files[0] = l->needed.files[1] = -1;
    progress_open(&l->progress, stderr, options_given(in, OPT_QUIET));
}

static int finish(struct launch *l, int r, int own) {
    progress_finish(&l->progress, 1);
    int failed = session_failed(r, &l->error);
    return failed == EXIT_OWN ? own : failed;
}

/* Everything up to the request; 1: done already (dry run). */
static int begin(struct launch *l) {
    struct workspace_options options;
    l->has_workspace = l->in->argument_count > 0;
    int r = config_load(&l->error);
    if (r == 0 && l->has_workspace)
        r = workspace_of(l, &options);
    if (r < 0)
        return r;
    say_left_out(l);
    if (options_given(l->in, OPT_DRY_RUN))
        return dry_run(l) < 0 ? -EIO : 1;
    r = look_for_tools(l);
    if (r < 0)
        return r;
    print_spec(l);
    say_ipv6(l);
    (void) signals_open(); /* from here on an interrupt must not leave the scratch folder behind */
    r = prepare(l, &options);
    for (int number; r == 0 && (number = signals_next());)
        signals_note(number);
    return r == 0 && signals_ending() ? -EINTR : r;
}

/* `session`: with a shell or a command in it. */
static int launch(const struct invocation *in, int session) {
    cleanup_free struct launch *l = malloc(sizeof(*l));
    int own = session ? EXIT_RUN : EXIT_OWN;
    if (!l)
        return own;
    open_launch(l, in);
    int r = begin(l), status = 0;
    if (r < 0)
        status = finish(l, r, own);
    else if (r == 0)
        status = session ? run(l) : create(l);
    workspace_close(&l->workspace);
    fdpass_close(l->needed.files, 2);
    return status;
}

int command_run(const struct invocation *in) {
    return launch(in, !options_given(in, OPT_DETACH));
}

int command_create(const struct invocation *in) {
    return launch(in, 0);
}
