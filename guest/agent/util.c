#include "agent.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

void agent_log(const char *fmt, ...) {
    char line[512];
    int used = snprintf(line, sizeof line, "banger-agent: ");
    va_list args;
    va_start(args, fmt);
    int more = vsnprintf(line + used, sizeof line - (size_t) used - 1, fmt, args);
    va_end(args);
    if (more < 0)
        return;
    size_t size = strlen(line);
    line[size] = '\n';
    (void) !write(STDERR_FILENO, line, size + 1);
}

long long agent_now_ms(void) {
    struct timespec now = {0};
    (void) clock_gettime(CLOCK_MONOTONIC, &now);
    return (long long) now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void agent_sleep_ms(long milliseconds) {
    struct timespec time = {.tv_sec = milliseconds / 1000, .tv_nsec = (milliseconds % 1000) * 1000000};
    while (nanosleep(&time, &time) < 0 && errno == EINTR)
        ;
}

ssize_t agent_read_file(const char *path, char *text, size_t size) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    size_t have = 0;
    ssize_t got = 0;
    while (have < size - 1 && (got = read(fd, text + have, size - 1 - have)) > 0)
        have += (size_t) got;
    int code = errno;
    (void) close(fd);
    if (got < 0)
        return -code;
    while (have > 0 && text[have - 1] == '\n')
        have--;
    text[have] = '\0';
    return (ssize_t) have;
}

int agent_write_file(const char *path, const char *text, mode_t mode) {
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, mode);
    if (fd < 0)
        return -errno;
    size_t size = strlen(text);
    ssize_t put = write(fd, text, size);
    int code = put < 0 ? errno : EIO;
    (void) close(fd);
    return put == (ssize_t) size ? 0 : -code;
}
