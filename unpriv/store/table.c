#include "table.h"

#include "events.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define SQL_MAX 1024

/* "a, b, c", with `format` applied to each column's name. */
static void join(char out[SQL_MAX], const struct table *t, size_t first, const char *suffix) {
    size_t used = 0;
    out[0] = '\0';
    for (size_t i = first; i < t->count && used < SQL_MAX; i++) {
        char value[32] = "";
        if (suffix)
            (void) snprintf(value, sizeof(value), "%s%zu", suffix, i + 1);
        int n = snprintf(out + used, SQL_MAX - used, "%s%s%s", i > first ? ", " : "", t->columns[i].name, value);
        used += n > 0 ? (size_t) n : 0;
    }
}

static void parameters(char out[SQL_MAX], const struct table *t) {
    size_t used = 0;
    for (size_t i = 0; i < t->count && used < SQL_MAX; i++) {
        int n = snprintf(out + used, SQL_MAX - used, "%s?%zu", i ? ", " : "", i + 1);
        used += n > 0 ? (size_t) n : 0;
    }
}

static void write_query(char sql[3 * SQL_MAX], const struct table *t, enum table_query query) {
    char columns[SQL_MAX];
    char values[SQL_MAX];
    join(columns, t, 0, NULL);
    const size_t size = 3 * (size_t) SQL_MAX;
    switch (query) {
    case QUERY_ADD:
        parameters(values, t);
        (void) snprintf(sql, size, "INSERT INTO %s (%s) VALUES (%s)", t->name, columns, values);
        break;
    case QUERY_GET: /* a name comes before another record's id that reads the same */
        (void) snprintf(sql, size, "SELECT %s FROM %s WHERE name = ?1 OR id = ?1 ORDER BY name = ?1 DESC LIMIT 1",
                        columns, t->name);
        break;
    case QUERY_LIST:
        (void) snprintf(sql, size, "SELECT %s FROM %s ORDER BY name", columns, t->name);
        break;
    case QUERY_UPDATE:
        join(values, t, 1, " = ?");
        (void) snprintf(sql, size, "UPDATE %s SET %s WHERE id = ?1", t->name, values);
        break;
    case QUERY_DELETE:
        (void) snprintf(sql, size, "DELETE FROM %s WHERE id = ?1", t->name);
        break;
    case QUERY_COUNT:
    default:
        sql[0] = '\0';
        break;
    }
}

/* The prepared query, ready to bind; NULL after an error. */
static sqlite3_stmt *query_of(sqlite3 *db, struct table *t, enum table_query query) {
    if (db && !t->queries[query]) {
        char sql[3 * SQL_MAX];
        write_query(sql, t, query);
        if (sqlite3_prepare_v3(db, sql, -1, SQLITE_PREPARE_PERSISTENT, &t->queries[query], NULL) != SQLITE_OK)
            return NULL;
    }
    return db ? t->queries[query] : NULL;
}

static void finish(sqlite3_stmt *query) {
    (void) sqlite3_reset(query);
    (void) sqlite3_clear_bindings(query);
}

static int bind_record(sqlite3_stmt *query, const struct table *t, const char *record) {
    int failed = 0;
    for (size_t i = 0; i < t->count; i++) {
        const struct column *c = &t->columns[i];
        const char *member = record + c->offset;
        const int at = (int) i + 1;
        uint32_t u;
        int32_t s;
        int64_t l;
        switch (c->type) {
        case COLUMN_TEXT:
            failed |= sqlite3_bind_text(query, at, member, (int) strnlen(member, c->size - 1), SQLITE_STATIC);
            break;
        case COLUMN_U32:
            memcpy(&u, member, sizeof(u));
            failed |= sqlite3_bind_int64(query, at, u);
            break;
        case COLUMN_I32:
            memcpy(&s, member, sizeof(s));
            failed |= sqlite3_bind_int64(query, at, s);
            break;
        case COLUMN_I64:
            memcpy(&l, member, sizeof(l));
            failed |= sqlite3_bind_int64(query, at, l);
            break;
        default:
            failed = 1;
        }
    }
    return failed;
}

static void read_record(sqlite3_stmt *query, const struct table *t, char *record) {
    memset(record, 0, t->record_size);
    for (size_t i = 0; i < t->count; i++) {
        const struct column *c = &t->columns[i];
        char *member = record + c->offset;
        int64_t l = sqlite3_column_int64(query, (int) i);
        const uint32_t u = (uint32_t) l;
        switch (c->type) {
        case COLUMN_TEXT: {
            const unsigned char *text = sqlite3_column_text(query, (int) i);
            (void) snprintf(member, c->size, "%s", text ? (const char *) text : "");
            break;
        }
        case COLUMN_U32:
        case COLUMN_I32:
            memcpy(member, &u, sizeof(u));
            break;
        case COLUMN_I64:
            memcpy(member, &l, sizeof(l));
            break;
        default:
            break;
        }
    }
}

/* The name of the record, for sentences: its second column. */
static const char *name_of(const struct table *t, const void *record) {
    return (const char *) record + t->columns[1].offset;
}

static int constraint_failed(sqlite3 *db, const struct table *t, const void *record, struct err *e) {
    const char *text = sqlite3_errmsg(db);
    if (strstr(text, "FOREIGN KEY"))
        return err_set(e, ENOENT, "what the %s %s refers to is gone: choose another image or kernel", t->noun,
                       name_of(t, record));
    if (strstr(text, ".slot"))
        return err_set(e, EEXIST, "the slot of %s %s is taken", t->noun, name_of(t, record));
    if (strstr(text, "UNIQUE"))
        return err_set(e, EEXIST, "%s %s already exists: choose another name, or delete it first", t->noun,
                       name_of(t, record));
    return store_failed(e);
}

/* The lock is held. */
static int put_record(sqlite3 *db, struct table *t, enum table_query which, const void *record, struct err *e) {
    int r = 0;
    sqlite3_stmt *query = query_of(db, t, which);
    int code = query && bind_record(query, t, record) == 0 ? sqlite3_step(query) : SQLITE_ERROR;
    if (code == SQLITE_CONSTRAINT)
        r = constraint_failed(db, t, record, e);
    else if (code != SQLITE_DONE)
        r = store_failed(e);
    else if (which == QUERY_UPDATE && sqlite3_changes(db) == 0)
        r = err_set(e, ENOENT, "%s %s was deleted meanwhile", t->noun, name_of(t, record));
    if (query)
        finish(query);
    return r;
}

static int write_record(struct table *t, enum table_query which, const void *record, enum table_when when,
                        struct err *e) {
    sqlite3 *db = store_lock();
    store_hurry(when);
    int r = put_record(db, t, which, record, e);
    store_hurry(TABLE_NOW);
    store_unlock();
    events_ring();
    return r;
}

int table_add(struct table *t, const void *record, enum table_when when, struct err *e) {
    return write_record(t, QUERY_ADD, record, when, e);
}

int table_update(struct table *t, const void *record, enum table_when when, struct err *e) {
    return write_record(t, QUERY_UPDATE, record, when, e);
}

int table_get(struct table *t, const char *name, void *record, struct err *e) {
    int r = 0;
    sqlite3_stmt *query = query_of(store_lock(), t, QUERY_GET);
    int code = query ? sqlite3_bind_text(query, 1, name, -1, SQLITE_STATIC) : SQLITE_ERROR;
    if (code == SQLITE_OK)
        code = sqlite3_step(query);
    if (code == SQLITE_ROW)
        read_record(query, t, record);
    else if (code == SQLITE_DONE)
        r = err_set(e, ENOENT, "no %s is named %.*s; `banger %s list` shows what exists", t->noun, 64, name,
                    t->command);
    else
        r = store_failed(e);
    if (query)
        finish(query);
    store_unlock();
    return r;
}

int table_list(struct table *t, void (*each)(const void *record, void *arg), void *arg, struct err *e) {
    _Alignas(max_align_t) char record[TABLE_RECORD_MAX];
    sqlite3_stmt *query = query_of(store_lock(), t, QUERY_LIST);
    int code = query ? sqlite3_step(query) : SQLITE_ERROR;
    for (; code == SQLITE_ROW; code = sqlite3_step(query)) {
        read_record(query, t, record);
        each(record, arg);
    }
    int r = code == SQLITE_DONE ? 0 : store_failed(e);
    if (query)
        finish(query);
    store_unlock();
    return r;
}

/* Says which VM is in the way. */
static int busy(sqlite3 *db, const struct table *t, const char *id, const char *user_query, struct err *e) {
    sqlite3_stmt *query = NULL;
    int code = sqlite3_prepare_v2(db, user_query, -1, &query, NULL);
    if (code == SQLITE_OK)
        code = sqlite3_bind_text(query, 1, id, -1, SQLITE_STATIC);
    int r;
    if (code == SQLITE_OK && sqlite3_step(query) == SQLITE_ROW) {
        const unsigned char *name = sqlite3_column_text(query, 0);
        r = err_set(e, EBUSY, "VM %s uses this %s: delete the VM first (`banger vm delete %s`)",
                    name ? (const char *) name : "?", t->noun, name ? (const char *) name : "?");
    } else {
        r = err_set(e, EBUSY, "a VM uses this %s: delete the VM first", t->noun);
    }
    (void) sqlite3_finalize(query);
    return r;
}

/* The lock is held. 1, without a sentence: something refers to it. */
static int drop_record(sqlite3 *db, struct table *t, const char *id, struct err *e) {
    int r = 0;
    sqlite3_stmt *query = query_of(db, t, QUERY_DELETE);
    int code = query ? sqlite3_bind_text(query, 1, id, -1, SQLITE_STATIC) : SQLITE_ERROR;
    if (code == SQLITE_OK)
        code = sqlite3_step(query);
    if (code == SQLITE_CONSTRAINT)
        r = 1;
    else if (code != SQLITE_DONE)
        r = store_failed(e);
    else if (sqlite3_changes(db) == 0)
        r = err_set(e, ENOENT, "no %s has the id %.16s", t->noun, id);
    if (query)
        finish(query);
    return r;
}

static int give_id_as_name(sqlite3 *db, const struct table *t, const char *id, struct err *e) {
    sqlite3_stmt *query = NULL;
    char sql[SQL_MAX];
    (void) snprintf(sql, sizeof(sql), "UPDATE %s SET name = id WHERE id = ?1", t->name);
    int code = sqlite3_prepare_v2(db, sql, -1, &query, NULL);
    if (code == SQLITE_OK)
        code = sqlite3_bind_text(query, 1, id, -1, SQLITE_STATIC);
    int r = code == SQLITE_OK && sqlite3_step(query) == SQLITE_DONE ? 0 : store_failed(e);
    (void) sqlite3_finalize(query);
    return r;
}

static int replace_record(sqlite3 *db, struct table *t, const char *id, const void *record, int *kept, struct err *e) {
    if (sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL) != SQLITE_OK)
        return store_failed(e);
    int r = drop_record(db, t, id, e);
    *kept = r == 1;
    if (*kept)
        r = give_id_as_name(db, t, id, e);
    if (r == 0)
        r = put_record(db, t, QUERY_ADD, record, e);
    if (r == 0 && sqlite3_exec(db, "COMMIT", NULL, NULL, NULL) != SQLITE_OK)
        r = store_failed(e);
    if (r)
        (void) sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
    return r;
}

int table_replace(struct table *t, const char *id, const void *record, int *kept, struct err *e) {
    int r = replace_record(store_lock(), t, id, record, kept, e);
    store_unlock();
    events_ring();
    return r;
}

int table_delete(struct table *t, const char *id, const char *user_query, enum table_when when, struct err *e) {
    sqlite3 *db = store_lock();
    store_hurry(when);
    int r = drop_record(db, t, id, e);
    if (r == 1)
        r = user_query ? busy(db, t, id, user_query, e) : store_failed(e);
    store_hurry(TABLE_NOW);
    store_unlock();
    events_ring();
    return r;
}
