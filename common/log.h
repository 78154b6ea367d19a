/* The daemon's log: one JSON object a line, `time level pid op text`. */
#ifndef BANGER_COMMON_LOG_H
#define BANGER_COMMON_LOG_H

#include <stdint.h>

enum log_level { LOG_LEVEL_DEBUG, LOG_LEVEL_INFO, LOG_LEVEL_WARN, LOG_LEVEL_ERROR };

/* Lines of at least `level` go to `fd` from now on (default: stderr, info). */
void log_open(int fd, enum log_level level);

/* "debug", "info", "warn" or "error" to a level; -1 for anything else. */
int log_level_from(const char *name);

/* One line. `op` is the request's id, 0 for none. Text is escaped for JSON and
 * cut at 1,000 bytes. Thread-safe: one write(2) a line. */
void log_line(enum log_level level, uint64_t op, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

#define log_debug(...) log_line(LOG_LEVEL_DEBUG, __VA_ARGS__)
#define log_info(...)  log_line(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_warn(...)  log_line(LOG_LEVEL_WARN, __VA_ARGS__)
#define log_error(...) log_line(LOG_LEVEL_ERROR, __VA_ARGS__)

#endif
