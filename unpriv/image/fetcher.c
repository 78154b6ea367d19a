#include "fetcher.h"

#include "../../common/cleanup.h"
#include "../../common/json.h"
#include "../daemon/metrics.h"
#include "../daemon/monitor.h"
#include "fetch/request.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define PIPE_SIZE (1 << 20)
#define BYTES_MAX ((int64_t) 1 << 52) /* whole numbers a double holds */

/* A byte of a client's line is six in what is made of it at the most ("\u0001"); its own are the digests and some
 * words.
 */
_Static_assert(REQUEST_BYTES_MAX >= 6 * RPC_LINE_MAX + KNOWN_MAX * (DIGEST_TEXT_MAX + 3) + 4096,
               "no client's request makes one that banger-fetch does not read");

struct pull {
    const struct rpc *rpc;
    struct worker fetch;
    struct importer import;
    struct fetch_result *fetched;
    int64_t bytes, cached, total; /* as last told */
};

static int take_success(void *arg, const cJSON *line, struct err *e) {
    static const char good[] = "0123456789abcdef";
    struct pull *pull = arg;
    struct fetch_result *out = pull->fetched;
    const char *digest = json_string_or(line, "digest", "", e);
    if (!digest || json_integer_or(line, "bytes", 0, BYTES_MAX, &out->bytes, e) ||
        json_integer_or(line, "cached", 0, BYTES_MAX, &out->cached, e) ||
        json_integer_or(line, "layers", 0, BYTES_MAX, &out->layers, e))
        return -e->code;
    if (digest[0] && (strncmp(digest, "sha256:", 7) != 0 || strlen(digest) != 7 + 64 || strspn(digest + 7, good) != 64))
        return err_set(e, EBADMSG, "banger-fetch answered with a digest that is none: reinstall banger");
    (void) snprintf(out->digest, sizeof(out->digest), "%s", digest);
    out->known = json_true(line, "known");
    const int64_t all = pull->total ? pull->total : 1;
    const char *how = out->known ? "here already" : out->cached && !out->bytes ? "cached" : "done";
    rpc_progress(pull->rpc, "pull", how, all, all);
    pull->import.stage = "import"; /* what is left is its own matter */
    return 0;
}

static void take_progress(void *arg, const cJSON *progress) {
    struct pull *pull = arg;
    struct err ignored = {0};
    int64_t bytes = 0, cached = 0, total = 0, ready = 0, layers = 0;
    char text[96];
    if (json_integer_or(progress, "bytes", 0, BYTES_MAX, &bytes, &ignored) ||
        json_integer_or(progress, "cached", 0, BYTES_MAX, &cached, &ignored) ||
        json_integer_or(progress, "total", 0, BYTES_MAX, &total, &ignored) ||
        json_integer_or(progress, "ready", 0, BYTES_MAX, &ready, &ignored) ||
        json_integer_or(progress, "layers", 0, BYTES_MAX, &layers, &ignored))
        return;
    pull->bytes = bytes;
    pull->cached = cached;
    pull->total = total;
    if (layers)
        (void) snprintf(text, sizeof(text), "%lld of %lld layers, %lld files", (long long) ready, (long long) layers,
                        (long long) pull->import.entries);
    else
        (void) snprintf(text, sizeof(text), "asking");
    /* Not done before the last line says so: a stage that is done is finished. */
    rpc_progress(pull->rpc, "pull", text, bytes, total > bytes ? total : bytes + 1);
}

static const struct worker_kind fetch_worker = {
    .name = "banger-fetch", .start = monitor_fetch, .success = take_success, .progress = take_progress};

int fetcher_take_proxies(const cJSON *args, cJSON *request, struct err *e) {
    static const char *const keys[] = {"http_proxy", "https_proxy", "no_proxy"};
    const cJSON *proxies = cJSON_GetObjectItemCaseSensitive(args, "proxies");
    cJSON *out = cJSON_AddObjectToObject(request, "proxies");
    for (size_t i = 0; proxies && i < sizeof(keys) / sizeof(keys[0]); i++) {
        const char *text = json_string_or(proxies, keys[i], "", e);
        if (!text)
            return -EINVAL;
        (void) cJSON_AddStringToObject(out, keys[i], text);
    }
    return 0;
}

static int start(struct pull *pull, const struct fetch_job *job, struct err *e) {
    int ends[2];
    int inputs[IMPORTER_FDS_MAX];
    if (job->output_count >= IMPORTER_FDS_MAX)
        return err_set(e, EINVAL, "an import takes at most %d descriptors", IMPORTER_FDS_MAX);
    cleanup_free char *request = cJSON_PrintUnformatted(job->request);
    if (!request)
        return err_set(e, ENOMEM, "there is not enough memory: free some and try again");
    if (pipe2(ends, O_CLOEXEC))
        return err_sys(e, errno, "cannot make a pipe");
    cleanup_fd int from = ends[0];
    cleanup_fd int to = ends[1];
    (void) fcntl(to, F_SETPIPE_SZ, PIPE_SIZE); /* larger is faster; refused is harmless */
    const int fetch_fds[] = {job->cache, to, job->config};
    inputs[0] = from;
    memcpy(&inputs[1], job->outputs, sizeof(int) * job->output_count);
    int r = worker_start(&pull->fetch, &fetch_worker, pull, request, strlen(request), fetch_fds,
                         job->config < 0 ? 2 : 3, e);
    return r ? r : importer_start(&pull->import, &job->plan, inputs, job->output_count + 1, e);
}

/* Whose failure it was: each of the two fails when the other does. The fetch says EPIPE
 * when nobody took what it had. */
static const struct worker *choose(const struct pull *pull) {
    const struct worker *fetch = &pull->fetch, *import = &pull->import.worker;
    const int own = fetch->ended && fetch->result && (fetch->killed || fetch->result != -EPIPE);
    return own || !import->ended || !import->result ? fetch : import;
}

/* What the import said is of the bytes that came to it, and not of this machine: a damaged blob may pass for anything.
 */
static int is_refusal(const struct worker *import) {
    static const int machines[] = {ENOMEM, ENOSPC, EDQUOT, EIO, EPIPE};
    for (size_t i = 0; i < sizeof(machines) / sizeof(machines[0]); i++) {
        if (import->result == -machines[i])
            return 0;
    }
    return !import->killed;
}

/* `*refused` is 1 when the import did not take what came to it, and some of that lay in the cache. */
static int run(const struct rpc *rpc, const struct fetch_job *job, struct fetch_result *fetched,
               struct import_result *imported, int *refused, struct err *e) {
    struct pull pull = {.rpc = rpc,
                        .fetch = {.messages = -1, .process = -1},
                        .import = {.worker = {.messages = -1, .process = -1}, .rpc = rpc, .out = imported},
                        .fetched = fetched};
    struct worker *const workers[] = {&pull.fetch, &pull.import.worker};
    *fetched = (struct fetch_result){0};
    struct err local = {0};
    int r = start(&pull, job, &local);
    if (r == 0) {
        r = workers_follow(rpc, workers, 2);
        if (r == -ECANCELED)
            (void) err_set(&local, ECANCELED, "the pull was cancelled");
        else if (fetched->known && job->may_be_known)
            r = 0; /* the import misses its layers, and says so */
        else if (r)
            local = choose(&pull)->error;
    }
    metrics_pulled(fetched->bytes);
    fetched->known &= job->may_be_known;
    *refused = r && r != -ECANCELED && pull.cached > 0 && choose(&pull) == &pull.import.worker &&
               is_refusal(&pull.import.worker);
    worker_end(&pull.fetch);
    worker_end(&pull.import.worker);
    if (r && e)
        *e = local;
    return r ? -local.code : 0;
}

/* As they were before an import that failed; its processes shared the files' offsets. */
static int empty(int file) {
    return ftruncate(file, 0) || lseek(file, 0, SEEK_SET) ? -errno : 0;
}

static int empty_all(const struct fetch_job *job) {
    int r = job->config < 0 ? 0 : empty(job->config);
    for (size_t i = 0; r == 0 && i < job->output_count; i++)
        r = empty(job->outputs[i]);
    return r;
}

/* A whole blob of the cache is believed, and may have been damaged since, by a power cut, say: what the
 * import refuses is tried once more with every blob hashed first. */
int fetcher_run(const struct rpc *rpc, const struct fetch_job *job, struct fetch_result *fetched,
                struct import_result *imported, struct err *e) {
    int refused = 0;
    int r = run(rpc, job, fetched, imported, &refused, e);
    if (!refused || empty_all(job))
        return r;
    struct fetch_job again = *job;
    cJSON *request = cJSON_Duplicate(job->request, 1);
    (void) cJSON_AddTrueToObject(request, "verify");
    again.request = request;
    r = run(rpc, &again, fetched, imported, &refused, e);
    cJSON_Delete(request);
    return r;
}
