/* VMs' egress lists: a table of their own, since most VMs have none and one can be long. */
#include "store.h"
#include "table.h"

#include <stdio.h>

static sqlite3_stmt *prepare(sqlite3 *db, const char *sql, const char *vm) {
    sqlite3_stmt *query = NULL;
    if (!db || sqlite3_prepare_v2(db, sql, -1, &query, NULL) != SQLITE_OK)
        return NULL;
    (void) sqlite3_bind_text(query, 1, vm, -1, SQLITE_STATIC);
    return query;
}

int store_egress_get(const char *vm, char *rules, size_t size, struct err *e) {
    sqlite3_stmt *query = prepare(store_lock(), "SELECT rules FROM egress WHERE vm = ?1", vm);
    int code = query ? sqlite3_step(query) : SQLITE_ERROR;
    const unsigned char *text = code == SQLITE_ROW ? sqlite3_column_text(query, 0) : NULL;
    (void) snprintf(rules, size, "%s", text ? (const char *) text : "");
    int r = code == SQLITE_ROW || code == SQLITE_DONE ? 0 : store_failed(e);
    (void) sqlite3_finalize(query);
    store_unlock();
    return r;
}

int store_egress_set(const char *vm, const char *rules, struct err *e) {
    static const char put[] = "INSERT INTO egress (vm, rules) VALUES (?1, ?2) "
                              "ON CONFLICT (vm) DO UPDATE SET rules = excluded.rules";
    sqlite3_stmt *query = prepare(store_lock(), rules[0] ? put : "DELETE FROM egress WHERE vm = ?1", vm);
    if (query && rules[0])
        (void) sqlite3_bind_text(query, 2, rules, -1, SQLITE_STATIC);
    int r = query && sqlite3_step(query) == SQLITE_DONE ? 0 : store_failed(e);
    (void) sqlite3_finalize(query);
    store_unlock();
    return r;
}
