#include "importer.h"

#include "../../common/json.h"
#include "../daemon/monitor.h"

#include <errno.h>
#include <string.h>

#define COUNT_MAX ((int64_t) 1 << 52) /* whole numbers a double holds */

/* A release becomes a file's name in messages and records: no other bytes. */
static int check_release(const char *release, struct err *e) {
    static const char good[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._+~-";
    const size_t size = strlen(release);
    if (size >= sizeof(((struct import_result *) 0)->release) || strspn(release, good) != size)
        return err_set(e, EBADMSG, "the kernel's release is not one: import another package");
    return 0;
}

static int take_success(void *arg, const cJSON *line, struct err *e) {
    struct import_result *out = ((struct importer *) arg)->out;
    const char *release = json_string_or(line, "release", "", e);
    if (!release || check_release(release, e) || json_integer_or(line, "bytes", 0, COUNT_MAX, &out->bytes, e) ||
        json_integer_or(line, "entries", 0, COUNT_MAX, &out->entries, e) ||
        json_integer_or(line, "size", 0, COUNT_MAX, &out->size, e) ||
        json_integer_or(line, "used", 0, COUNT_MAX, &out->used, e))
        return -e->code;
    (void) snprintf(out->release, sizeof(out->release), "%s", release);
    return 0;
}

static void take_progress(void *arg, const cJSON *progress) {
    struct importer *importer = arg;
    struct err ignored = {0};
    char text[64];
    if (json_integer_or(progress, "bytes", 0, COUNT_MAX, &importer->bytes, &ignored) ||
        json_integer_or(progress, "entries", 0, COUNT_MAX, &importer->entries, &ignored) || !importer->stage ||
        !importer->rpc)
        return;
    (void) snprintf(text, sizeof(text), "%lld files", (long long) importer->entries);
    rpc_progress(importer->rpc, importer->stage, text, importer->bytes, 0);
}

static const struct worker_kind import_worker = {
    .name = "banger-import", .start = monitor_import, .success = take_success, .progress = take_progress};

int importer_start(struct importer *importer, const struct import_plan *plan, const int *fds, size_t count,
                   struct err *e) {
    struct import_plan filled = *plan;
    filled.magic = IMPORT_PLAN_MAGIC;
    *importer->out = (struct import_result){0};
    return worker_start(&importer->worker, &import_worker, importer, &filled, sizeof(filled), fds, count, e);
}

int importer_run(const struct rpc *rpc, const struct import_plan *plan, const int *fds, size_t count, const char *stage,
                 struct import_result *out, struct err *e) {
    struct importer importer = {.rpc = rpc, .stage = stage, .out = out};
    struct worker *const workers[] = {&importer.worker};
    struct err local = {0};
    int r = importer_start(&importer, plan, fds, count, &local);
    if (r == 0)
        r = workers_follow(rpc, workers, 1);
    if (r == -ECANCELED)
        (void) err_set(&local, ECANCELED, "the import was cancelled");
    else if (importer.worker.ended && importer.worker.result)
        local = importer.worker.error;
    worker_end(&importer.worker);
    if (r && e)
        *e = local;
    return r ? -local.code : 0;
}
