/* daemon.events: what is kept after a cursor, and with `follow` what comes, until the
 * client goes away. Nothing is looked up while nothing happens. */
#include "events_op.h"

#include "../../common/json.h"
#include "../store/events.h"

#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define BATCH   32
#define SHOWN   100 /* where no cursor is given */
#define TIME_MS 32

static void add_time(cJSON *object, int64_t ms) {
    char date[TIME_MS];
    char text[TIME_MS + 16];
    struct tm parts;
    const time_t seconds = (time_t) (ms / 1000);
    if (!gmtime_r(&seconds, &parts) || strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%S", &parts) == 0)
        date[0] = '\0';
    (void) snprintf(text, sizeof(text), "%s.%03dZ", date, (int) (ms % 1000));
    (void) cJSON_AddStringToObject(object, "time", text);
}

cJSON *event_json(const struct event *event) {
    cJSON *object = cJSON_CreateObject();
    (void) cJSON_AddNumberToObject(object, "id", (double) event->id);
    add_time(object, event->time);
    (void) cJSON_AddStringToObject(object, "kind", event->kind);
    (void) cJSON_AddStringToObject(object, "object", event->object);
    (void) cJSON_AddStringToObject(object, "name", event->name);
    (void) cJSON_AddStringToObject(object, "text", event->text);
    return object;
}

/* Sends all after `*cursor` and moves it. 0 or a negative errno. */
static int send_all(const struct rpc *rpc, int64_t *cursor, struct err *e) {
    struct event batch[BATCH];
    int count = BATCH;
    while (count == BATCH) {
        count = events_read(*cursor, batch, BATCH, e);
        for (int i = 0; i < count; i++) {
            int r = rpc_event(rpc, "event", event_json(&batch[i]), -1);
            if (r) {
                count = err_set(e, -r, "the client went away or does not read: it goes on with \"since\" %lld",
                                (long long) *cursor);
                break;
            }
            *cursor = batch[i].id;
        }
    }
    return count < 0 ? count : 0;
}

/* Until the client goes away, or the daemon ends. */
static int follow(const struct rpc *rpc, int bell, int64_t *cursor, struct err *e) {
    uint64_t count;
    int r = 0;
    while (r == 0 && !rpc_gone(rpc)) {
        struct pollfd p[] = {{.fd = bell, .events = POLLIN}, {.fd = rpc->sock, .events = POLLRDHUP}};
        if (poll(p, 2, -1) > 0 && p[0].revents && read(bell, &count, sizeof(count)) == (ssize_t) sizeof(count))
            r = send_all(rpc, cursor, e);
    }
    return r ? r : err_set(e, ECANCELED, "no more events are sent");
}

/* The cursor of a request: its own, or the one that leaves the last SHOWN. */
static int find_cursor(const struct rpc *rpc, int64_t *cursor, struct err *e) {
    int64_t last = 0;
    int r = events_last(&last, e);
    *cursor = last > SHOWN ? last - SHOWN : 0;
    if (r == 0)
        r = json_integer_or(rpc->args, "since", 0, INT64_MAX >> 11, cursor, e);
    if (r == 0 && *cursor > last)
        r = err_set(e, ERANGE,
                    "there is no event %lld yet, the last is %lld: this cursor is of another state folder, begin anew "
                    "with 0",
                    (long long) *cursor, (long long) last);
    return r;
}

int op_events(struct rpc *rpc, cJSON **result, struct err *e) {
    int64_t cursor = 0;
    const int follows = json_true(rpc->args, "follow");
    int bell = follows ? events_bell() : -1;
    if (follows && bell == -EBUSY)
        return err_set(e, EBUSY, "%d clients follow the events already: end one of them", EVENTS_BELLS);
    if (follows && bell < 0)
        return err_sys(e, -bell, "cannot wait for events");
    int r = find_cursor(rpc, &cursor, e);
    if (r == 0)
        r = send_all(rpc, &cursor, e);
    if (r == 0 && follows)
        r = follow(rpc, bell, &cursor, e);
    if (bell >= 0)
        events_bell_return(bell);
    if (r == 0) {
        *result = cJSON_CreateObject();
        (void) cJSON_AddNumberToObject(*result, "last", (double) cursor);
    }
    return r;
}

/* --- what was mended ------------------------------------------------------------------ */

static int is_mending(const struct event *event) {
    static const char *const kinds[] = {EVENT_DAEMON_RESTARTED, EVENT_VM_MENDED, EVENT_MENDED};
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        if (strcmp(event->kind, kinds[i]) == 0)
            return 1;
    }
    return 0;
}

/* Appends "; web: its VMM ended meanwhile", or "; ..." where it does not fit. */
static void append(char *text, size_t size, const struct event *event) {
    static const char more[] = "; ...";
    const char *who = strcmp(event->kind, EVENT_DAEMON_RESTARTED) == 0 ? "bangerd" : event->name;
    char part[STORE_NAME_MAX + STORE_TEXT_MAX + 8];
    const size_t used = strlen(text);
    int n = snprintf(part, sizeof(part), "%s%s%s%s", used ? "; " : "", who, who[0] ? ": " : "", event->text);
    if (used + (size_t) n + sizeof(more) <= size)
        (void) snprintf(text + used, size - used, "%s", part);
    else if (used >= sizeof(more) && strcmp(text + used - (sizeof(more) - 1), more) != 0)
        (void) snprintf(text + used, size - used, "%s", more);
}

int events_mended(char *text, size_t size, int64_t *since, struct err *e) {
    struct event start;
    struct event batch[BATCH];
    int mended = 0;
    int count = events_newest(EVENT_DAEMON_STARTED, NULL, &start, e);
    if (count)
        return count;
    int64_t cursor = *since = start.id;
    text[0] = '\0';
    do {
        count = events_read(cursor, batch, BATCH, e);
        for (int i = 0; i < count; i++) {
            cursor = batch[i].id;
            if (!is_mending(&batch[i]))
                continue;
            mended++;
            append(text, size, &batch[i]);
        }
    } while (count > 0);
    return count < 0 ? count : mended;
}
