#include "log.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define ENTRIES_MAX ((size_t) 2 * EGRESS_LOG_EACH)

/* An entry's place in the array is its place in the file. */
struct egress_log {
    pthread_mutex_t lock;
    int file;
    size_t count;
    struct egress_entry *entries;
};

static const struct {
    int allowed;
    const char *text;
} whys[EGRESS_WHYS] = {
    [EGRESS_NAT] = {1, "nat"},
    [EGRESS_LISTED] = {1, "listed"},
    [EGRESS_OWN_VM] = {1, "a VM of this account"},
    [EGRESS_UNLISTED] = {0, "not listed"},
    [EGRESS_NO_EGRESS] = {0, "no egress"},
    [EGRESS_LOCAL_ADDRESS] = {0, "a private or local address"},
    [EGRESS_FAILED] = {0, "no answer"},
};

int egress_why_allowed(enum egress_why why) {
    return whys[why].allowed;
}

const char *egress_why_text(enum egress_why why) {
    return whys[why].text;
}

/* The file is the account's own, but nothing in it is taken on trust. */
static int entry_is_sound(const struct egress_entry *entry) {
    return entry->why < EGRESS_WHYS && memchr(entry->name, 0, sizeof(entry->name)) &&
           (strcmp(entry->name, ".") == 0 || egress_is_name(entry->name));
}

static int grow(struct egress_log *log) {
    if (log->count % 32 != 0)
        return 0;
    struct egress_entry *more = realloc(log->entries, (log->count + 32) * sizeof(*more));
    if (!more)
        return -1;
    log->entries = more;
    return 0;
}

struct egress_log *egress_log_open(int file) {
    struct egress_entry entry;
    struct egress_log *log = calloc(1, sizeof(*log));
    if (!log)
        return NULL;
    (void) pthread_mutex_init(&log->lock, NULL);
    log->file = file;
    for (size_t i = 0; i < ENTRIES_MAX && file >= 0; i++) {
        if (pread(file, &entry, sizeof(entry), (off_t) (i * sizeof(entry))) != (ssize_t) sizeof(entry) ||
            !entry_is_sound(&entry) || grow(log))
            break;
        log->entries[log->count++] = entry;
    }
    return log;
}

void egress_log_close(struct egress_log *log) {
    if (!log)
        return;
    if (log->file >= 0)
        (void) close(log->file);
    (void) pthread_mutex_destroy(&log->lock);
    free(log->entries);
    free(log);
}

/* The entry of that name and outcome; else a new place, or that of the one of its kind that is oldest. */
static struct egress_entry *place_for(struct egress_log *log, const char *name, uint16_t type, enum egress_why why) {
    struct egress_entry *oldest = NULL;
    size_t alike = 0;
    for (size_t i = 0; i < log->count; i++) {
        struct egress_entry *entry = &log->entries[i];
        if (entry->type == type && entry->why == why && strcmp(entry->name, name) == 0)
            return entry;
        if (whys[entry->why].allowed != whys[why].allowed)
            continue;
        alike++;
        if (!oldest || entry->last < oldest->last)
            oldest = entry;
    }
    if (alike < EGRESS_LOG_EACH && grow(log) == 0)
        oldest = &log->entries[log->count++];
    if (oldest) {
        memset(oldest, 0, sizeof(*oldest));
        oldest->type = type;
        oldest->why = (uint16_t) why;
        (void) snprintf(oldest->name, sizeof(oldest->name), "%s", name);
    }
    return oldest;
}

void egress_log_add(struct egress_log *log, const char *name, uint16_t type, enum egress_why why) {
    (void) pthread_mutex_lock(&log->lock);
    struct egress_entry *entry = place_for(log, name, type, why);
    if (entry) {
        entry->last = time(NULL);
        entry->count += entry->count < UINT32_MAX;
    }
    if (entry && log->file >= 0)
        (void) !pwrite(log->file, entry, sizeof(*entry), (off_t) ((size_t) (entry - log->entries) * sizeof(*entry)));
    (void) pthread_mutex_unlock(&log->lock);
}

void egress_log_each(struct egress_log *log, void (*each)(const struct egress_entry *entry, void *arg), void *arg) {
    (void) pthread_mutex_lock(&log->lock);
    for (size_t i = 0; i < log->count; i++)
        each(&log->entries[i], arg);
    (void) pthread_mutex_unlock(&log->lock);
}
