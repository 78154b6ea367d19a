#include "store.h"

#include "table.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static sqlite3 *db;
static char db_path[PATH_MAX];
static int unsynced; /* something was committed in no hurry */

/* Entry N brings a database of version N to N+1. Entries are never changed, only added. */
static const char *const migrations[] = {
    "CREATE TABLE images ("
    " id TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE, kind TEXT NOT NULL, source TEXT NOT NULL,"
    " size INTEGER NOT NULL, used INTEGER NOT NULL, created INTEGER NOT NULL) STRICT;"
    "CREATE TABLE kernels ("
    " id TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE, release TEXT NOT NULL, source TEXT NOT NULL,"
    " agent TEXT NOT NULL, created INTEGER NOT NULL) STRICT;"
    "CREATE TABLE vms ("
    " id TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE,"
    " slot INTEGER NOT NULL UNIQUE CHECK (slot BETWEEN 0 AND 999), state INTEGER NOT NULL,"
    " image TEXT NOT NULL REFERENCES images(id), kernel TEXT NOT NULL REFERENCES kernels(id),"
    " vcpus INTEGER NOT NULL, memory_mib INTEGER NOT NULL, disk INTEGER NOT NULL, egress INTEGER NOT NULL,"
    " root_kind TEXT NOT NULL, accel TEXT NOT NULL, workspace TEXT NOT NULL, source TEXT NOT NULL,"
    " head TEXT NOT NULL, remove INTEGER NOT NULL, pid INTEGER NOT NULL, subnet INTEGER NOT NULL,"
    " created INTEGER NOT NULL, started INTEGER NOT NULL) STRICT;"
    "CREATE INDEX vms_image ON vms(image);"
    "CREATE INDEX vms_kernel ON vms(kernel);",
    "ALTER TABLE images ADD COLUMN kernel TEXT NOT NULL DEFAULT '';",
    "ALTER TABLE images ADD COLUMN digest TEXT NOT NULL DEFAULT '';"
    "ALTER TABLE images ADD COLUMN asked INTEGER NOT NULL DEFAULT 0;",
    "CREATE TABLE egress ("
    " vm TEXT PRIMARY KEY REFERENCES vms(id) ON DELETE CASCADE, rules TEXT NOT NULL) STRICT;",
    /* A record's change leaves an event in the same transaction, whoever makes it. An id is never given
     * twice (AUTOINCREMENT); the last 10,000 are kept, and up to 99 more. `time`: milliseconds since 1970. */
    "CREATE TABLE events ("
    " id INTEGER PRIMARY KEY AUTOINCREMENT,"
    " time INTEGER NOT NULL DEFAULT (CAST(round((julianday('now') - 2440587.5) * 86400000) AS INTEGER)),"
    " kind TEXT NOT NULL, object TEXT NOT NULL, name TEXT NOT NULL, text TEXT NOT NULL) STRICT;"
    "CREATE TRIGGER events_kept AFTER INSERT ON events WHEN new.id % 100 = 0"
    " BEGIN DELETE FROM events WHERE id <= new.id - 10000; END;"
    "CREATE TRIGGER vm_created AFTER INSERT ON vms"
    " BEGIN INSERT INTO events (kind, object, name, text) VALUES"
    " ('vm.created', new.id, new.name, "
    " 'image ' || coalesce((SELECT name FROM images WHERE id = new.image), new.image)); END;"
    "CREATE TRIGGER vm_deleted AFTER DELETE ON vms"
    " BEGIN INSERT INTO events (kind, object, name, text) VALUES"
    " ('vm.deleted', old.id, old.name, ''); END;"
    "CREATE TRIGGER vm_state AFTER UPDATE OF state ON vms WHEN new.state <> old.state"
    " BEGIN INSERT INTO events (kind, object, name, text) VALUES"
    " (CASE new.state WHEN 0 THEN 'vm.stopped' WHEN 1 THEN 'vm.starting' WHEN 2 THEN 'vm.ready'"
    " WHEN 3 THEN 'vm.stopping' ELSE 'vm.failed' END"
    ", new.id, new.name,"
    " CASE WHEN new.state = 0 AND old.state = 1 THEN 'its start was undone'"
    " WHEN new.state = 0 AND old.state = 2 THEN 'its VMM ended'"
    " WHEN new.state = 4 THEN 'its guest never became ready' ELSE '' END); END;"
    "CREATE TRIGGER vm_started AFTER UPDATE OF pid ON vms WHEN new.pid <> 0 AND new.pid <> old.pid"
    " BEGIN INSERT INTO events (kind, object, name, text) VALUES"
    " ('vm.started', new.id, new.name, 'pid ' || new.pid || ', ' || new.accel); END;"
    "CREATE TRIGGER vm_changed AFTER UPDATE OF vcpus, memory_mib, disk, egress ON vms"
    " WHEN new.vcpus <> old.vcpus OR new.memory_mib <> old.memory_mib OR new.disk <> old.disk"
    " OR new.egress <> old.egress"
    " BEGIN INSERT INTO events (kind, object, name, text) VALUES"
    " ('vm.changed', new.id, new.name,"
    " new.vcpus || ' vcpu, ' || new.memory_mib || ' MiB, disk ' || (new.disk >> 20) || ' MiB, egress '"
    " || CASE new.egress WHEN 0 THEN 'none' WHEN 1 THEN 'nat' ELSE 'list' END); END;"
    "CREATE TRIGGER image_created AFTER INSERT ON images"
    " BEGIN INSERT INTO events (kind, object, name, text) VALUES"
    " ('image.created', new.id, new.name, new.kind || ', ' || new.source); END;"
    "CREATE TRIGGER image_changed AFTER UPDATE OF kind, digest ON images"
    " WHEN new.kind <> old.kind OR new.digest <> old.digest"
    " BEGIN INSERT INTO events (kind, object, name, text) VALUES"
    " ('image.changed', new.id, new.name, new.kind || ', ' || new.source); END;"
    "CREATE TRIGGER image_deleted AFTER DELETE ON images"
    " BEGIN INSERT INTO events (kind, object, name, text) VALUES"
    " ('image.deleted', old.id, old.name, ''); END;"
    "CREATE TRIGGER kernel_created AFTER INSERT ON kernels"
    " BEGIN INSERT INTO events (kind, object, name, text) VALUES"
    " ('kernel.created', new.id, new.name, new.release); END;"
    "CREATE TRIGGER kernel_changed AFTER UPDATE ON kernels"
    " BEGIN INSERT INTO events (kind, object, name, text) VALUES"
    " ('kernel.changed', new.id, new.name, new.release); END;"
    "CREATE TRIGGER kernel_deleted AFTER DELETE ON kernels"
    " BEGIN INSERT INTO events (kind, object, name, text) VALUES"
    " ('kernel.deleted', old.id, old.name, ''); END;",
    "ALTER TABLE vms ADD COLUMN vmm TEXT NOT NULL DEFAULT 'qemu';",
    "ALTER TABLE vms ADD COLUMN publish TEXT NOT NULL DEFAULT '';",
    "CREATE TABLE touches ("
    " vm TEXT PRIMARY KEY REFERENCES vms(id) ON DELETE CASCADE, at INTEGER NOT NULL) STRICT;"
    "CREATE TABLE settings (key TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT;",
    "ALTER TABLE vms ADD COLUMN ipv6 INTEGER NOT NULL DEFAULT 0;"
    "DROP TRIGGER vm_changed;"
    "CREATE TRIGGER vm_changed AFTER UPDATE OF vcpus, memory_mib, disk, egress, ipv6 ON vms"
    " WHEN new.vcpus <> old.vcpus OR new.memory_mib <> old.memory_mib OR new.disk <> old.disk"
    " OR new.egress <> old.egress OR new.ipv6 <> old.ipv6"
    " BEGIN INSERT INTO events (kind, object, name, text) VALUES"
    " ('vm.changed', new.id, new.name,"
    " new.vcpus || ' vcpu, ' || new.memory_mib || ' MiB, disk ' || (new.disk >> 20) || ' MiB, egress '"
    " || CASE new.egress WHEN 0 THEN 'none' WHEN 1 THEN 'nat' ELSE 'list' END"
    " || CASE new.ipv6 WHEN 0 THEN '' ELSE ', ipv6' END); END;",
};
#define SCHEMA_VERSION ((int) (sizeof(migrations) / sizeof(migrations[0])))

#define SYNCHRONOUS "PRAGMA synchronous = FULL"

sqlite3 *store_lock(void) {
    (void) pthread_mutex_lock(&mutex);
    return db;
}

void store_unlock(void) {
    (void) pthread_mutex_unlock(&mutex);
}

/* Safe for the file itself either way: its log is checksummed and read up to the last whole commit. */
void store_hurry(enum table_when when) {
    static enum table_when now = TABLE_NOW;
    if (!db || now == when)
        return;
    if (sqlite3_exec(db, when == TABLE_SOON ? "PRAGMA synchronous = NORMAL" : SYNCHRONOUS, NULL, NULL, NULL) ==
        SQLITE_OK)
        now = when;
    unsynced |= now == TABLE_SOON;
}

/* What came before it in the log goes along. */
int store_flush(struct err *e) {
    sqlite3_file *log = NULL;
    if (!db || !unsynced)
        return 0;
    if (sqlite3_file_control(db, "main", SQLITE_FCNTL_JOURNAL_POINTER, (void *) &log) != SQLITE_OK || !log ||
        !log->pMethods || log->pMethods->xSync(log, SQLITE_SYNC_NORMAL) != SQLITE_OK)
        return err_set(e, EIO, "cannot write the state database %s to the disk", db_path);
    unsynced = 0;
    return 0;
}

int store_sync(struct err *e) {
    (void) store_lock();
    int r = store_flush(e);
    store_unlock();
    return r;
}

static int is_full(int code) {
    return code == SQLITE_FULL ||
           (code == SQLITE_IOERR && db && (sqlite3_system_errno(db) == ENOSPC || sqlite3_system_errno(db) == EDQUOT));
}

int store_failed(struct err *e) {
    if (!db)
        return err_set(e, EBADF, "the state database is not open: restart bangerd");
    int code = sqlite3_errcode(db) & 0xff;
    if (is_full(code))
        return err_set(e, ENOSPC, "the disk that holds %s is full: free some space and try again", db_path);
    switch (code) {
    case SQLITE_READONLY:
    case SQLITE_PERM:
    case SQLITE_CANTOPEN:
        return err_set(e, EROFS, "cannot write the state database %s: make it and its folder writable for this account",
                       db_path);
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return err_set(e, EUCLEAN, "the state database %s is damaged: put a copy back, or move it away to begin anew",
                       db_path);
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return err_set(e, EBUSY, "another program holds the state database %s: end it and try again", db_path);
    case SQLITE_NOMEM:
        return err_set(e, ENOMEM, "no memory left for the state database: free some and try again");
    default:
        return err_set(e, EIO, "cannot use the state database %s: %s", db_path, sqlite3_errmsg(db));
    }
}

static int run(const char *sql, struct err *e) {
    return sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK ? 0 : store_failed(e);
}

static int read_version(int *version, struct err *e) {
    sqlite3_stmt *query = NULL;
    if (sqlite3_prepare_v2(db, "PRAGMA user_version", -1, &query, NULL) != SQLITE_OK)
        return store_failed(e);
    int r = sqlite3_step(query) == SQLITE_ROW ? 0 : store_failed(e);
    *version = sqlite3_column_int(query, 0);
    (void) sqlite3_finalize(query);
    return r;
}

static int migrate_step(int from, struct err *e) {
    char done[64];
    (void) snprintf(done, sizeof(done), "PRAGMA user_version = %d", from + 1);
    int r = run("BEGIN IMMEDIATE", e);
    if (r)
        return r;
    r = run(migrations[from], e);
    if (r == 0)
        r = run(done, e);
    if (r == 0)
        r = run("COMMIT", e);
    if (r)
        (void) sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
    return r;
}

static int migrate(struct err *e) {
    int version = 0;
    int r = read_version(&version, e);
    if (r)
        return r;
    if (version < 0 || version > SCHEMA_VERSION)
        return err_set(
            e, EPROTO,
            "the state database %s was written by a newer banger (version %d, this one knows %d): install it "
            "again or move the file away",
            db_path, version, SCHEMA_VERSION);
    while (r == 0 && version < SCHEMA_VERSION)
        r = migrate_step(version++, e);
    return r;
}

/* One process owns the database, so its lock is held for good and no shared memory
 * file is needed, which makes WAL work on network file systems too. */
static const char *const setup = "PRAGMA locking_mode = EXCLUSIVE;"
                                 "PRAGMA journal_mode = WAL;" SYNCHRONOUS ";"
                                 "PRAGMA foreign_keys = ON;"
                                 "PRAGMA temp_store = MEMORY;"
                                 "PRAGMA cache_size = -256;"
                                 "PRAGMA journal_size_limit = 1048576;";

int store_open(const char *state_dir, struct err *e) {
    store_close();
    int n = snprintf(db_path, sizeof(db_path), "%s/banger.db", state_dir);
    if (n < 0 || (size_t) n >= sizeof(db_path))
        return err_set(e, ENAMETOOLONG, "the state folder has too long a name: set XDG_STATE_HOME to a shorter one");
    (void) store_lock();
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX;
    int r = sqlite3_open_v2(db_path, &db, flags, NULL) == SQLITE_OK ? 0 : store_failed(e);
    if (r == 0) {
        (void) sqlite3_extended_result_codes(db, 0);
        (void) sqlite3_busy_timeout(db, 5000);
        r = run(setup, e);
    }
    if (r == 0 && sqlite3_db_readonly(db, "main") == 1)
        r = err_set(e, EROFS, "cannot write the state database %s: make it and its folder writable for this account",
                    db_path);
    if (r == 0)
        r = migrate(e);
    store_unlock();
    if (r)
        store_close();
    return r;
}

void store_close(void) {
    (void) store_lock();
    events_close();
    for (size_t i = 0; store_tables[i]; i++) {
        for (size_t q = 0; q < QUERY_COUNT; q++) {
            (void) sqlite3_finalize(store_tables[i]->queries[q]);
            store_tables[i]->queries[q] = NULL;
        }
    }
    (void) sqlite3_close(db);
    db = NULL;
    store_unlock();
}
