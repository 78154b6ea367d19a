#include "events.h"

#include "../../common/io.h"
#include "client.h"
#include "output.h"
#include "session.h"
#include "signals.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define COME_BACK_MS 10000 /* how long a daemon whose engine died may take to serve again */
#define PAUSE_MS     100

const char events_details[] =
    "Each event has a number that no other ever gets. --since N goes on after event N: nothing is\n"
    "missed and nothing comes twice, also when this command or bangerd is killed in between. The last\n"
    "10,000 are kept; a number older than that is an error that says where to go on.";

struct showing {
    int json;
    int64_t last; /* shown, -1 for none */
};

/* "    17  2026-11-22 16:30:12.123  vm.ready            web  pid 123" */
static void show_line(const cJSON *event) {
    char line[ERR_TEXT_MAX];
    char when[24];
    const char *name = output_member(event, "name");
    (void) snprintf(when, sizeof(when), "%s", output_member(event, "time"));
    char *t = strchr(when, 'T');
    if (t)
        *t = ' ';
    (void) snprintf(line, sizeof(line), "%6" PRId64 "  %s  %-16s  %s%s%s", output_number(event, "id"), when,
                    output_member(event, "kind"), name, *name ? "  " : "", output_member(event, "text"));
    text_sanitize(line);
    (void) puts(line);
}

static void show_json(const cJSON *event) {
    char *text = cJSON_PrintUnformatted(event);
    if (text)
        (void) puts(text);
    cJSON_free(text);
}

static int show(const char *name, const cJSON *line, int fd, void *arg, struct err *e) {
    struct showing *s = arg;
    if (fd >= 0)
        (void) close(fd);
    if (strcmp(name, "event") != 0)
        return 0;
    cJSON *event = cJSON_Duplicate(line, 1);
    cJSON_DeleteItemFromObjectCaseSensitive(event, "event");
    if (s->json)
        show_json(event);
    else
        show_line(event);
    s->last = output_number(event, "id");
    cJSON_Delete(event);
    return fflush(stdout) ? err_sys(e, errno, "cannot write the events") : 0;
}

static int request(const struct invocation *in, struct showing *s, int no_start, struct err *e) {
    cJSON *args = cJSON_CreateObject();
    if (s->last >= 0)
        (void) cJSON_AddNumberToObject(args, "since", (double) s->last);
    (void) cJSON_AddBoolToObject(args, "follow", options_given(in, OPT_FOLLOW));
    struct client_call call = {.op = "daemon.events", .args = args, .event = show, .arg = s, .no_start = no_start};
    return client_request(&call, NULL, e);
}

/* The monitor starts an engine that died again; a daemon that was stopped stays so. */
static int come_back(const struct invocation *in, struct showing *s, struct err *e) {
    const long long until = io_now_ms() + COME_BACK_MS;
    int r = -ECONNRESET;
    while (r == -ECONNRESET || r == -ENOENT || r == -ECONNREFUSED) {
        if (io_now_ms() > until || signals_ending())
            break;
        (void) poll(NULL, 0, PAUSE_MS);
        r = request(in, s, 1, e);
    }
    return r;
}

int command_events(const struct invocation *in) {
    struct err e = {0};
    struct showing s = {.json = options_given(in, OPT_JSON), .last = options_number(in, OPT_SINCE, -1)};
    int r = request(in, &s, 0, &e);
    while (r == -ECONNRESET && options_given(in, OPT_FOLLOW) && !signals_ending())
        r = come_back(in, &s, &e);
    if (r == 0 || r == -EPIPE) /* who reads has enough */
        return 0;
    if (options_given(in, OPT_FOLLOW) && !signals_ending() && s.last >= 0 && (r == -ECANCELED || r == -ENOENT))
        (void) err_set(&e, -r, "bangerd has ended: `banger events -f --since %" PRId64 "` goes on", s.last);
    return session_failed(r, &e);
}
