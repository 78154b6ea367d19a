#include "vm.h"

#include "../../common/cleanup.h"
#include "../../common/io.h"
#include "client.h"
#include "key.h"
#include "output.h"
#include "session.h"
#include "signals.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define AT_ONCE 8 /* requests under way when several VMs are named */

/* --- looking ----------------------------------------------------------------- */

static void vm_row(struct table *t, const cJSON *vm) {
    char disk[32];
    output_size(output_number(vm, "disk"), disk);
    table_cell(t, "%s", output_member(vm, "id"));
    table_cell(t, "%s", output_member(vm, "name"));
    table_cell(t, "%s", output_member(vm, "state"));
    table_cell(t, "%s", output_member(vm, "image"));
    table_cell(t, "%s", output_member(vm, "address"));
    table_cell(t, "%lld", (long long) output_number(vm, "vcpus"));
    table_cell(t, "%lldM", (long long) output_number(vm, "memory_mib"));
    table_cell(t, "%s", disk);
    table_cell(t, "%s", output_member(vm, "workspace"));
    table_cell(t, "%s", output_member(vm, "created"));
}

int command_list(const struct invocation *in) {
    static const char *const headers[] = {"ID",   "NAME", "STATE", "IMAGE",     "IP",
                                          "VCPU", "MEM",  "DISK",  "WORKSPACE", "CREATED"};
    struct err e = {0};
    cJSON *result = NULL;
    int r = client_simple("vm.list", NULL, &result, &e);
    if (r < 0)
        return session_failed(r, &e);
    if (options_given(in, OPT_JSON)) {
        output_json(result);
        return 0;
    }
    struct table t = {.columns = 10};
    const cJSON *vm = NULL;
    cJSON_ArrayForEach(vm, cJSON_GetObjectItemCaseSensitive(result, "vms")) {
        vm_row(&t, vm);
    }
    table_print(&t, headers);
    cJSON_Delete(result);
    return 0;
}

int command_show(const struct invocation *in) {
    struct err e = {0};
    cJSON *result = NULL;
    int r = client_simple("vm.show", client_named(in->arguments[0]), &result, &e);
    if (r < 0)
        return session_failed(r, &e);
    if (!options_given(in, OPT_JSON))
        output_object(result);
    if (options_given(in, OPT_JSON))
        output_json(result);
    else
        cJSON_Delete(result);
    return 0;
}

/* --- one operation on several VMs -------------------------------------------- */

struct errand {
    const char *op;
    const struct invocation *in;
    const cJSON *snapshot; /* vm.list's answer: names are resolved from it, before anything changes */
    int next;              /* of the names, under `lock` */
    int failed;
    pthread_mutex_t lock;
};

static const cJSON *find_vm(const cJSON *snapshot, const char *name) {
    const cJSON *vm = NULL;
    cJSON_ArrayForEach(vm, cJSON_GetObjectItemCaseSensitive(snapshot, "vms")) {
        if (strcmp(output_member(vm, "name"), name) == 0 || strcmp(output_member(vm, "id"), name) == 0)
            return vm;
    }
    return NULL;
}

static int one_vm(const struct errand *a, const char *name, struct progress *progress, struct err *e) {
    const cJSON *vm = find_vm(a->snapshot, name);
    if (!vm)
        return err_set(e, ENOENT, "no VM is named %s; `banger vm list` shows what exists", name);
    const char *id = output_member(vm, "id");
    cJSON *args = client_named(id);
    if (options_given(a->in, OPT_SIGNAL))
        (void) cJSON_AddNumberToObject(args, "signal", (double) options_number(a->in, OPT_SIGNAL, 9));
    if (options_given(a->in, OPT_GRACE))
        (void) cJSON_AddNumberToObject(args, "grace_ms", (double) options_number(a->in, OPT_GRACE, 20) * 1000);
    struct client_call call = {.op = a->op, .args = args, .progress = progress};
    int r = client_request(&call, NULL, e);
    const struct paths *paths = r == 0 && strcmp(a->op, "vm.delete") == 0 ? client_paths(NULL) : NULL;
    if (paths)
        key_forget(paths, id);
    return r;
}

static void *do_errands(void *arg) {
    struct errand *a = arg;
    for (;;) {
        (void) pthread_mutex_lock(&a->lock);
        int mine = a->next < a->in->argument_count && !signals_ending() ? a->next++ : -1;
        (void) pthread_mutex_unlock(&a->lock);
        if (mine < 0)
            return NULL;
        struct err e = {0};
        struct progress progress;
        progress_open(&progress, stderr, a->in->argument_count > 1 || options_given(a->in, OPT_QUIET));
        if (one_vm(a, a->in->arguments[mine], &progress, &e) < 0) {
            (void) pthread_mutex_lock(&a->lock);
            a->failed = 1;
            if (!signals_ending())
                output_error(&e);
            (void) pthread_mutex_unlock(&a->lock);
        }
    }
}

static int on_each(const struct invocation *in, const char *op) {
    struct err e = {0};
    cJSON *snapshot = NULL;
    int r = client_simple("vm.list", NULL, &snapshot, &e);
    if (r < 0)
        return session_failed(r, &e);
    struct errand a = {.op = op, .in = in, .snapshot = snapshot, .lock = PTHREAD_MUTEX_INITIALIZER};
    pthread_t threads[AT_ONCE];
    int count = 0;
    while (count < AT_ONCE && count + 1 < in->argument_count &&
           pthread_create(&threads[count], NULL, do_errands, &a) == 0)
        count++;
    (void) do_errands(&a);
    for (int i = 0; i < count; i++)
        (void) pthread_join(threads[i], NULL);
    cJSON_Delete(snapshot);
    return signals_ending() ? 128 + signals_ending() : a.failed;
}

int command_start(const struct invocation *in) {
    return on_each(in, "vm.start");
}
int command_stop(const struct invocation *in) {
    return on_each(in, "vm.stop");
}
int command_kill(const struct invocation *in) {
    return on_each(in, "vm.kill");
}

int command_delete(const struct invocation *in) {
    if (!options_given(in, OPT_FORCE) && isatty(STDIN_FILENO)) {
        (void) fprintf(stderr, "Delete %d VM%s with %s disks? [y/N] ", in->argument_count,
                       in->argument_count == 1 ? "" : "s", in->argument_count == 1 ? "its" : "their");
        char answer[16];
        if (!fgets(answer, sizeof(answer), stdin) || (answer[0] != 'y' && answer[0] != 'Y')) {
            (void) fputs("nothing was deleted\n", stderr);
            return EXIT_OWN;
        }
    }
    return on_each(in, "vm.delete");
}

/* --- logs -------------------------------------------------------------------- */

/* Copies the log to stdout. A guest's console is hostile: on a terminal control
 * bytes other than newline and tab are shown as '?'. */
static int copy_log(int fd, struct err *e) {
    char text[8192];
    int plain = isatty(STDOUT_FILENO);
    for (;;) {
        ssize_t n = read(fd, text, sizeof(text));
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? err_sys(e, errno, "cannot read the log") : 0;
        for (ssize_t i = 0; plain && i < n; i++) {
            unsigned char c = (unsigned char) text[i];
            if ((c < 0x20 && c != '\n' && c != '\t' && c != '\r') || c == 0x7f || (c >= 0x80 && c < 0xa0))
                text[i] = '?';
        }
        int r = io_write(STDOUT_FILENO, text, (size_t) n);
        if (r < 0)
            return r == -EPIPE ? r : err_sys(e, -r, "cannot write the log");
    }
}

static int log_event(const char *name, const cJSON *line, int fd, void *arg, struct err *e) {
    (void) line;
    (void) arg;
    int r = strcmp(name, "log") == 0 && fd >= 0 ? copy_log(fd, e) : 0;
    if (fd >= 0)
        (void) close(fd);
    return r == -EPIPE ? 0 : r;
}

int command_logs(const struct invocation *in) {
    struct err e = {0};
    cJSON *args = client_named(in->arguments[0]);
    (void) cJSON_AddStringToObject(args, "which", options_text(in, OPT_WHICH, "console"));
    struct client_call call = {.op = "vm.logs", .args = args, .event = log_event};
    int r = client_request(&call, NULL, &e);
    return r < 0 ? session_failed(r, &e) : 0;
}
