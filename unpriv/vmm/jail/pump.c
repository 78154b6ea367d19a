#include "jail.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define PUMP_CHUNK 32768u
#define PUMP_READS 16

int pump_open(struct pump *pump, int from, int file, uint64_t keep) {
    struct stat st;
    if (fstat(file, &st))
        return -errno;
    /* With O_APPEND, pwrite(2) ignores its offset. */
    int flags = fcntl(file, F_GETFL);
    if (flags < 0 || fcntl(file, F_SETFL, flags & ~O_APPEND))
        return -errno;
    *pump = (struct pump){.from = from, .file = file, .size = (uint64_t) st.st_size, .keep = keep};
    return 0;
}

/* Moves the last `keep` bytes to the front. The two ranges do not overlap: the
 * file has at least twice that. */
static void pump_cut(struct pump *pump) {
    char chunk[PUMP_CHUNK];
    uint64_t start = pump->size - pump->keep, done = 0;
    while (done < pump->keep) {
        uint64_t rest = pump->keep - done;
        size_t size = rest < sizeof(chunk) ? (size_t) rest : sizeof(chunk);
        ssize_t n = pread(pump->file, chunk, size, (off_t) (start + done));
        if (n <= 0 || pwrite(pump->file, chunk, (size_t) n, (off_t) done) != n)
            break;
        done += (uint64_t) n;
    }
    /* Also after an error: a file that cannot be shortened well is emptied. */
    if (ftruncate(pump->file, (off_t) done) == 0)
        pump->size = done;
}

void pump_write(struct pump *pump, const void *data, size_t size) {
    const char *at = data;
    while (size > 0) {
        if (pump->size >= 2 * pump->keep)
            pump_cut(pump);
        uint64_t room = 2 * pump->keep > pump->size ? 2 * pump->keep - pump->size : 0;
        size_t part = room < size ? (size_t) room : size;
        ssize_t n = part > 0 ? pwrite(pump->file, at, part, (off_t) pump->size) : -1;
        if (n <= 0)
            return;
        pump->size += (uint64_t) n;
        at += n;
        size -= (size_t) n;
    }
}

int pump_move(struct pump *pump) {
    char chunk[PUMP_CHUNK];
    for (int i = 0; i < PUMP_READS && pump->from >= 0; i++) {
        ssize_t n = read(pump->from, chunk, sizeof(chunk));
        if (n > 0) {
            pump_write(pump, chunk, (size_t) n);
        } else if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
            break;
        } else {
            (void) close(pump->from);
            pump->from = -1;
        }
    }
    return pump->from >= 0;
}
