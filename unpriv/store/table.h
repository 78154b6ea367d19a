/* Records as tables: which member of a plain struct is which column. Everything
 * that reads or writes a record is derived from this, so a member is named once. */
#ifndef BANGER_STORE_TABLE_H
#define BANGER_STORE_TABLE_H

#include "../../common/err.h"

#include <sqlite3.h>
#include <stddef.h>

enum column_type { COLUMN_TEXT, COLUMN_U32, COLUMN_I32, COLUMN_I64 };

struct column {
    const char *name;
    enum column_type type;
    size_t offset, size; /* of the member */
};

enum table_query { QUERY_ADD, QUERY_GET, QUERY_LIST, QUERY_UPDATE, QUERY_DELETE, QUERY_COUNT };

/* The first column is the id (16 hex digits), the second the name. */
struct table {
    const char *name;
    const char *noun;    /* "image", for sentences */
    const char *command; /* "image", in `banger image list` */
    const struct column *columns;
    size_t count;
    size_t record_size;
    sqlite3_stmt *queries[QUERY_COUNT]; /* prepared at first use */
};

#define TABLE_RECORD_MAX 2048 /* no record is larger */

/* All take the store's lock. Records are `record_size` bytes. `when`: see store_vm_add_soon. */
enum table_when { TABLE_NOW, TABLE_SOON };
/* -EEXIST, -ENOENT: what it refers to is missing */
int table_add(struct table *t, const void *record, enum table_when when, struct err *e);
int table_get(struct table *t, const char *name, void *record, struct err *e);
int table_list(struct table *t, void (*each)(const void *record, void *arg), void *arg, struct err *e);
int table_update(struct table *t, const void *record, enum table_when when, struct err *e);
/* `user_query` finds the name of a VM that refers to ?1, for the sentence of -EBUSY. */
int table_delete(struct table *t, const char *id, const char *user_query, enum table_when when, struct err *e);
/* In one step `record` is added and the one with `id`, whose name it may have, goes. One that a VM refers to stays,
 * with its id for its name: `*kept` is 1 then. -ENOENT: there is none with `id`, and nothing was changed. */
int table_replace(struct table *t, const char *id, const void *record, int *kept, struct err *e);

/* The connection (store.c). Between lock and unlock it is the caller's; NULL when the store is not open. */
sqlite3 *store_lock(void);
void store_unlock(void);
/* The lock is held: what is committed from now on need not be on the disk (`soon`), or must be again. */
void store_hurry(enum table_when when);
/* The lock is held: as store_sync. */
int store_flush(struct err *e);
/* A sentence for the connection's last error; returns a negative errno. */
int store_failed(struct err *e);
/* Frees what events.c has prepared; the lock is held. */
void events_close(void);

/* The tables (records.c), ended by NULL: store_close frees their queries. */
extern struct table *const store_tables[];

#endif
