#include "log.h"

#include "err.h"
#include "io.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static int log_fd = STDERR_FILENO;
static enum log_level log_least = LOG_LEVEL_INFO;
static const char *const level_names[] = {"debug", "info", "warn", "error"};

void log_open(int fd, enum log_level level) {
    log_fd = fd;
    log_least = level;
}

int log_level_from(const char *name) {
    for (int i = 0; i < 4; i++) {
        if (strcmp(name, level_names[i]) == 0)
            return i;
    }
    return -1;
}

/* Copies `text` with quotes and backslashes escaped; control bytes are gone already. */
static void escape(char *out, size_t size, const char *text) {
    size_t n = 0;
    for (; *text && n + 3 < size; text++) {
        if (*text == '"' || *text == '\\')
            out[n++] = '\\';
        out[n++] = *text;
    }
    out[n] = '\0';
}

void log_line(enum log_level level, uint64_t op, const char *fmt, ...) {
    if (level < log_least)
        return;
    char text[1001];
    va_list args;
    va_start(args, fmt);
    (void) vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    text_sanitize(text);
    char escaped[2004];
    escape(escaped, sizeof(escaped), text);

    struct timespec now;
    struct tm utc;
    (void) clock_gettime(CLOCK_REALTIME, &now);
    (void) gmtime_r(&now.tv_sec, &utc);
    char stamp[32];
    (void) strftime(stamp, sizeof(stamp), "%Y-%m-%dT%H:%M:%S", &utc);
    char line[2304];
    int n = snprintf(line, sizeof(line),
                     "{\"time\":\"%s.%03ldZ\",\"level\":\"%s\",\"pid\":%d,\"op\":\"%016llx\",\"text\":\"%s\"}\n", stamp,
                     now.tv_nsec / 1000000, level_names[level], (int) getpid(), (unsigned long long) op, escaped);
    if (n > 0)
        (void) io_write(log_fd, line, (size_t) n);
}
