/* One operation on several VMs: the names are resolved from one list before anything
 * changes, then all are worked on at the same time, and what goes wrong with one stops
 * none of the others. */
#include "client.h"
#include "output.h"
#include "session.h"
#include "signals.h"
#include "vm.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define AT_ONCE 8 /* requests under way */

/* An operation, and what is said of a VM that it was done to. */
struct errand_kind {
    const char *op, *done;
    int unused; /* 1: what runs by now is left alone */
};

struct target {
    const char *name;
    const cJSON *vm; /* NULL: the name is nobody's */
};

struct errand {
    const struct errand_kind *kind;
    const struct invocation *in;
    struct target *targets;
    int count;
    int next; /* under `lock`, with all that follows */
    int failed;
    int64_t freed;
    pthread_mutex_t lock;
};

/* By name before by id, as the daemon does. */
static const cJSON *find_vm(const cJSON *vms, const char *name) {
    static const char *const keys[] = {"name", "id"};
    for (size_t i = 0; i < 2; i++) {
        const cJSON *vm = NULL;
        cJSON_ArrayForEach(vm, vms) {
            if (strcmp(output_member(vm, keys[i]), name) == 0)
                return vm;
        }
    }
    return NULL;
}

static cJSON *arguments(const struct errand *a, const char *id) {
    cJSON *args = client_named(id);
    if (options_given(a->in, OPT_SIGNAL))
        (void) cJSON_AddNumberToObject(args, "signal", (double) options_number(a->in, OPT_SIGNAL, 9));
    if (options_given(a->in, OPT_GRACE))
        (void) cJSON_AddNumberToObject(args, "grace_ms", (double) options_number(a->in, OPT_GRACE, 20) * 1000);
    if (a->kind->unused)
        (void) cJSON_AddBoolToObject(args, "unused", 1);
    return args;
}

static int one_vm(const struct errand *a, const struct target *target, struct progress *progress, int64_t *freed,
                  struct err *e) {
    cJSON *result = NULL;
    if (!target->vm)
        return err_set(e, ENOENT, "no VM is named %s; `banger vm list` shows what exists", target->name);
    const char *id = output_member(target->vm, "id");
    struct client_call call = {.op = a->kind->op, .args = arguments(a, id), .progress = progress};
    int r = client_request(&call, &result, e);
    *freed = output_number(result, "freed");
    cJSON_Delete(result);
    return r;
}

/* One line each, where there are several; `lock` is held. */
static void say(struct errand *a, const struct target *target, int r, int64_t freed, const struct err *e) {
    char size[32];
    output_bytes(freed, size);
    a->freed += freed;
    if (r < 0) {
        a->failed = 1;
        if (!signals_ending())
            output_error(e);
    } else if (a->kind->unused) {
        (void) printf("%s: %s, %s freed\n", output_member(target->vm, "name"), a->kind->done, size);
    } else if (a->count > 1 && !options_given(a->in, OPT_QUIET)) {
        (void) printf("%s: %s\n", output_member(target->vm, "name"), a->kind->done);
    }
    (void) fflush(stdout);
}

static void *do_errands(void *arg) {
    struct errand *a = arg;
    for (;;) {
        (void) pthread_mutex_lock(&a->lock);
        int mine = a->next < a->count && !signals_ending() ? a->next++ : -1;
        (void) pthread_mutex_unlock(&a->lock);
        if (mine < 0)
            return NULL;
        struct err e = {0};
        struct progress progress;
        int64_t freed = 0;
        progress_open(&progress, stderr, a->count > 1 || a->kind->unused || options_given(a->in, OPT_QUIET));
        int r = one_vm(a, &a->targets[mine], &progress, &freed, &e);
        (void) pthread_mutex_lock(&a->lock);
        say(a, &a->targets[mine], r, freed, &e);
        (void) pthread_mutex_unlock(&a->lock);
    }
}

/* All of them; the exit status. */
static int run(struct errand *a) {
    pthread_t threads[AT_ONCE];
    int started = 0;
    (void) pthread_mutex_init(&a->lock, NULL);
    while (started < AT_ONCE - 1 && started + 1 < a->count &&
           pthread_create(&threads[started], NULL, do_errands, a) == 0)
        started++;
    (void) do_errands(a);
    for (int i = 0; i < started; i++)
        (void) pthread_join(threads[i], NULL);
    (void) pthread_mutex_destroy(&a->lock);
    return signals_ending() ? 128 + signals_ending() : a->failed;
}

/* Adds a VM, unless it is among them already. */
static void add_target(struct errand *a, const char *name, const cJSON *vm) {
    for (int i = 0; i < a->count; i++) {
        if (vm ? a->targets[i].vm == vm : strcmp(a->targets[i].name, name) == 0)
            return;
    }
    a->targets[a->count++] = (struct target){.name = name, .vm = vm};
}

static int on_each(const struct invocation *in, const struct errand_kind *kind) {
    struct err e = {0};
    cJSON *list = NULL;
    int r = client_simple("vm.list", NULL, &list, &e);
    if (r < 0)
        return session_failed(r, &e);
    struct errand a = {.kind = kind, .in = in};
    a.targets = calloc((size_t) in->argument_count, sizeof(struct target));
    for (int i = 0; a.targets && i < in->argument_count; i++)
        add_target(&a, in->arguments[i], find_vm(cJSON_GetObjectItemCaseSensitive(list, "vms"), in->arguments[i]));
    int status = a.targets ? run(&a) : EXIT_OWN;
    free(a.targets);
    cJSON_Delete(list);
    return status;
}

int command_start(const struct invocation *in) {
    static const struct errand_kind kind = {"vm.start", "running", 0};
    return on_each(in, &kind);
}
int command_stop(const struct invocation *in) {
    static const struct errand_kind kind = {"vm.stop", "stopped", 0};
    return on_each(in, &kind);
}
int command_restart(const struct invocation *in) {
    static const struct errand_kind kind = {"vm.restart", "running again", 0};
    return on_each(in, &kind);
}
int command_kill(const struct invocation *in) {
    static const struct errand_kind kind = {"vm.kill", "signalled", 0};
    return on_each(in, &kind);
}

/* --- what deletes: asked about first --------------------------------------------- */

static int is_yes(void) {
    char answer[16];
    if (fgets(answer, sizeof(answer), stdin) && (answer[0] == 'y' || answer[0] == 'Y'))
        return 1;
    (void) fputs("nothing was deleted\n", stderr);
    return 0;
}

int command_delete(const struct invocation *in) {
    static const struct errand_kind kind = {"vm.delete", "deleted", 0};
    if (!options_given(in, OPT_FORCE) && isatty(STDIN_FILENO)) {
        (void) fprintf(stderr, "Delete %d VM%s with %s disks? [y/N] ", in->argument_count,
                       in->argument_count == 1 ? "" : "s", in->argument_count == 1 ? "its" : "their");
        if (!is_yes())
            return EXIT_OWN;
    }
    return on_each(in, &kind);
}

/* Those that do not run, in the order of the list. 0 or -ENOMEM. */
static int choose_unused(const cJSON *vms, struct errand *a) {
    const cJSON *vm = NULL;
    a->targets = calloc((size_t) cJSON_GetArraySize(vms) + 1, sizeof(struct target));
    if (!a->targets)
        return -ENOMEM;
    cJSON_ArrayForEach(vm, vms) {
        const char *state = output_member(vm, "state");
        if (strcmp(state, "stopped") == 0 || strcmp(state, "failed") == 0)
            add_target(a, output_member(vm, "name"), vm);
    }
    return 0;
}

/* 0, or the exit status. Names by the hundred are asked about where somebody can say no. */
static int may_prune(const struct invocation *in, const struct errand *a) {
    if (options_given(in, OPT_FORCE))
        return 0;
    if (!isatty(STDIN_FILENO)) {
        struct err e;
        (void) err_set(&e, EINVAL, "%d VM%s would be deleted, and there is no terminal to ask at: add --force",
                       a->count, a->count == 1 ? "" : "s");
        output_error(&e);
        return EXIT_OWN;
    }
    for (int i = 0; i < a->count; i++)
        (void) fprintf(stderr, "  %s\n", a->targets[i].name);
    (void) fprintf(stderr, "Delete %s that %s not running, with %s disks? [y/N] ",
                   a->count == 1 ? "this VM" : "these VMs", a->count == 1 ? "is" : "are",
                   a->count == 1 ? "its" : "their");
    return is_yes() ? 0 : EXIT_OWN;
}

int command_prune(const struct invocation *in) {
    static const struct errand_kind kind = {"vm.delete", "deleted", 1};
    struct err e = {0};
    cJSON *list = NULL;
    char size[32];
    int r = client_simple("vm.list", NULL, &list, &e);
    if (r < 0)
        return session_failed(r, &e);
    struct errand a = {.kind = &kind, .in = in};
    int status = choose_unused(cJSON_GetObjectItemCaseSensitive(list, "vms"), &a) ? EXIT_OWN : 0;
    if (status == 0 && a.count == 0)
        (void) puts("no VM is stopped: nothing to delete");
    else if (status == 0 && (status = may_prune(in, &a)) == 0)
        status = run(&a);
    output_bytes(a.freed, size);
    if (a.next > 0)
        (void) printf("%s freed\n", size);
    free(a.targets);
    cJSON_Delete(list);
    return status;
}
