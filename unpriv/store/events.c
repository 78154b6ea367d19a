#include "events.h"

#include "../../common/log.h"
#include "table.h"

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum query { ADD, READ, FIRST, LAST, NEWEST, QUERIES };

#define COLUMNS "SELECT id, time, kind, object, name, text FROM events "
static const char *const texts[QUERIES] = {
    [ADD] = "INSERT INTO events (kind, object, name, text) VALUES (?1, ?2, ?3, ?4)",
    [READ] = COLUMNS "WHERE id > ?1 ORDER BY id LIMIT ?2",
    [FIRST] = "SELECT min(id) FROM events",
    [LAST] = "SELECT max(id) FROM events",
    [NEWEST] = COLUMNS "WHERE kind = ?1 OR kind = ?2 ORDER BY id DESC LIMIT 1",
};
static sqlite3_stmt *queries[QUERIES]; /* prepared at first use; the store's lock guards them */

void events_close(void) {
    for (size_t i = 0; i < QUERIES; i++) {
        (void) sqlite3_finalize(queries[i]);
        queries[i] = NULL;
    }
}

/* The query, ready to bind, or NULL; the lock is held. */
static sqlite3_stmt *prepared(sqlite3 *db, enum query which) {
    if (db && !queries[which] &&
        sqlite3_prepare_v3(db, texts[which], -1, SQLITE_PREPARE_PERSISTENT, &queries[which], NULL) != SQLITE_OK)
        return NULL;
    return db ? queries[which] : NULL;
}

/* `code` is what the last step said: 0 or a negative errno. */
static int finish(sqlite3_stmt *query, int code, struct err *e) {
    int r = query && (code == SQLITE_DONE || code == SQLITE_ROW) ? 0 : store_failed(e);
    if (query) {
        (void) sqlite3_reset(query);
        (void) sqlite3_clear_bindings(query);
    }
    return r;
}

static int bind_texts(sqlite3_stmt *query, const char *const *text, int count) {
    int failed = 0;
    for (int i = 0; i < count; i++)
        failed |= sqlite3_bind_text(query, i + 1, text[i], -1, SQLITE_STATIC);
    return failed;
}

void events_add(const char *kind, const struct vm_record *r, const char *fmt, ...) {
    char text[STORE_TEXT_MAX];
    struct err e = {0};
    va_list list;
    va_start(list, fmt);
    (void) vsnprintf(text, sizeof(text), fmt, list);
    va_end(list);
    text_sanitize(text);
    const char *const values[] = {kind, r ? r->id : "", r ? r->name : "", text};
    sqlite3_stmt *query = prepared(store_lock(), ADD);
    int code = query && bind_texts(query, values, 4) == 0 ? sqlite3_step(query) : SQLITE_ERROR;
    int failed = finish(query, code, &e);
    store_unlock();
    if (failed)
        log_error(0, "an event was not written (%s %s: %s): %s", kind, values[2], text, e.text);
    events_ring();
}

static void copy_text(sqlite3_stmt *query, int column, char *out, size_t size) {
    const unsigned char *text = sqlite3_column_text(query, column);
    (void) snprintf(out, size, "%s", text ? (const char *) text : "");
}

static void read_event(sqlite3_stmt *query, struct event *out) {
    out->id = sqlite3_column_int64(query, 0);
    out->time = sqlite3_column_int64(query, 1);
    copy_text(query, 2, out->kind, sizeof(out->kind));
    copy_text(query, 3, out->object, sizeof(out->object));
    copy_text(query, 4, out->name, sizeof(out->name));
    copy_text(query, 5, out->text, sizeof(out->text));
}

/* The lock is held. */
static int read_id(sqlite3 *db, enum query which, int64_t *id, struct err *e) {
    sqlite3_stmt *query = prepared(db, which);
    int code = query ? sqlite3_step(query) : SQLITE_ERROR;
    *id = code == SQLITE_ROW ? sqlite3_column_int64(query, 0) : 0; /* NULL, of an empty table, reads as 0 */
    return finish(query, code, e);
}

static int lost(int64_t since, int64_t first, struct err *e) {
    return err_set(e, ESTALE,
                   "the events from %lld to %lld are no longer kept (the last %d are), so this cursor has lost them: "
                   "go on with %lld",
                   (long long) since + 1, (long long) first - 1, EVENTS_KEPT, (long long) first - 1);
}

int events_read(int64_t since, struct event *out, size_t max, struct err *e) {
    size_t count = 0;
    int64_t first = 0;
    sqlite3 *db = store_lock();
    int r = store_flush(e); /* whoever is told of an event has it for good */
    if (r == 0)
        r = read_id(db, FIRST, &first, e);
    if (r == 0 && since > 0 && since < first - 1)
        r = lost(since, first, e);
    if (r == 0) {
        sqlite3_stmt *query = prepared(db, READ);
        int failed = !query || sqlite3_bind_int64(query, 1, since) || sqlite3_bind_int64(query, 2, (int64_t) max);
        int code = failed ? SQLITE_ERROR : sqlite3_step(query);
        for (; code == SQLITE_ROW && count < max; code = sqlite3_step(query))
            read_event(query, &out[count++]);
        r = finish(query, code, e);
    }
    store_unlock();
    return r ? r : (int) count;
}

int events_last(int64_t *last, struct err *e) {
    int r = read_id(store_lock(), LAST, last, e);
    store_unlock();
    return r;
}

int events_newest(const char *kind, const char *or_kind, struct event *out, struct err *e) {
    const char *const values[] = {kind, or_kind};
    memset(out, 0, sizeof(*out));
    sqlite3_stmt *query = prepared(store_lock(), NEWEST);
    int code = query && bind_texts(query, values, 2) == 0 ? sqlite3_step(query) : SQLITE_ERROR;
    if (code == SQLITE_ROW)
        read_event(query, out);
    int r = finish(query, code, e);
    store_unlock();
    return r;
}

/* --- who waits ------------------------------------------------------------------------ */

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static int bells[EVENTS_BELLS]; /* 0: free */

int events_bell(void) {
    int r = -EBUSY;
    (void) pthread_mutex_lock(&mutex);
    for (size_t i = 0; i < EVENTS_BELLS && r == -EBUSY; i++) {
        if (bells[i])
            continue;
        r = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        if (r >= 0)
            bells[i] = r;
        else
            r = -errno;
    }
    (void) pthread_mutex_unlock(&mutex);
    return r;
}

void events_bell_return(int bell) {
    (void) pthread_mutex_lock(&mutex);
    for (size_t i = 0; i < EVENTS_BELLS; i++) {
        if (bells[i] == bell)
            bells[i] = 0;
    }
    (void) pthread_mutex_unlock(&mutex);
    (void) close(bell);
}

void events_ring(void) {
    const uint64_t one = 1;
    (void) pthread_mutex_lock(&mutex);
    for (size_t i = 0; i < EVENTS_BELLS; i++) {
        if (bells[i])
            (void) !write(bells[i], &one, sizeof(one));
    }
    (void) pthread_mutex_unlock(&mutex);
}
