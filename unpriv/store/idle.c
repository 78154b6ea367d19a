/* When each VM was last used, and the account's few settings that the daemon must know. */
#include "store.h"
#include "table.h"

/* One statement with a text and perhaps a number; `*out` (may be NULL) takes a row's. */
static int run(const char *sql, const char *text, int64_t number, int64_t *out, struct err *e) {
    sqlite3_stmt *query = NULL;
    sqlite3 *db = store_lock();
    int code = db ? sqlite3_prepare_v2(db, sql, -1, &query, NULL) : SQLITE_ERROR;
    if (code == SQLITE_OK)
        code = sqlite3_bind_text(query, 1, text, -1, SQLITE_STATIC);
    if (code == SQLITE_OK && !out)
        code = sqlite3_bind_int64(query, 2, number);
    if (code == SQLITE_OK)
        code = sqlite3_step(query);
    if (code == SQLITE_ROW && out)
        *out = sqlite3_column_int64(query, 0);
    int r = code == SQLITE_ROW || code == SQLITE_DONE ? 0 : store_failed(e);
    (void) sqlite3_finalize(query);
    store_unlock();
    return r;
}

int store_touch_get(const char *vm, int64_t *when, struct err *e) {
    *when = 0;
    return run("SELECT at FROM touches WHERE vm = ?1", vm, 0, when, e);
}

int store_touch_set(const char *vm, int64_t when, struct err *e) {
    return run("INSERT INTO touches (vm, at) SELECT id, ?2 FROM vms WHERE id = ?1 "
               "ON CONFLICT (vm) DO UPDATE SET at = excluded.at",
               vm, when, NULL, e);
}

int store_setting_get(const char *key, int64_t *value, struct err *e) {
    *value = 0;
    return run("SELECT value FROM settings WHERE key = ?1", key, 0, value, e);
}

int store_setting_set(const char *key, int64_t value, struct err *e) {
    return run(
        "INSERT INTO settings (key, value) VALUES (?1, ?2) ON CONFLICT (key) DO UPDATE SET value = excluded.value", key,
        value, NULL, e);
}
