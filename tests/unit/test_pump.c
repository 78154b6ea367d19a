/* Console and log: bounded files fed from pipes. */
#include "../../unpriv/vmm/jail/jail.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#define KEEP 100000u

static int temporary(void) {
    char path[] = "/tmp/banger-pump.XXXXXX";
    int fd = mkstemp(path);
    cr_assert_geq(fd, 0);
    unlink(path);
    return fd;
}

static off_t size_of(int fd) {
    struct stat st;
    cr_assert_eq(fstat(fd, &st), 0);
    return st.st_size;
}

/* Writes numbered lines through a pipe; checks the bound at each step and that what
 * is left is the stream's exact tail. */
Test(pump, keeps_the_last_part_of_a_long_stream) {
    int ends[2], file = temporary();
    struct pump pump;
    cr_assert_eq(pipe2(ends, O_CLOEXEC), 0);
    cr_assert_eq(fcntl(ends[0], F_SETFL, O_NONBLOCK), 0);
    cr_assert_eq(pump_open(&pump, ends[0], file, KEEP), 0);
    static char all[3000000];
    size_t total = 0;
    for (int i = 0; total < sizeof(all) - 2000; i++) {
        size_t before = total;
        for (int line = 0; line < 1 + i % 40; line++)
            total += (size_t) snprintf(all + total, sizeof(all) - total, "line %d of %d\n", line, i);
        cr_assert_eq(write(ends[1], all + before, total - before), (ssize_t) (total - before));
        cr_assert_eq(pump_move(&pump), 1);
        cr_assert_leq(size_of(file), 2 * KEEP);
    }
    close(ends[1]);
    cr_assert_eq(pump_move(&pump), 0, "the writer is gone");
    cr_assert_eq(pump.from, -1);
    off_t size = size_of(file);
    cr_assert_geq(size, KEEP);
    char *left = malloc((size_t) size);
    cr_assert_eq(pread(file, left, (size_t) size, 0), size);
    cr_assert_eq(memcmp(left, all + total - size, (size_t) size), 0);
    free(left);
    close(file);
}

Test(pump, appends_to_what_is_there_even_with_o_append) {
    int file = temporary();
    struct pump pump;
    char text[32] = "";
    cr_assert_eq(write(file, "before ", 7), 7);
    cr_assert_eq(fcntl(file, F_SETFL, O_APPEND), 0);
    cr_assert_eq(pump_open(&pump, -1, file, 8), 0);
    pump_write(&pump, "0123456789abcdef", 16);
    cr_assert_leq(size_of(file), 16);
    ssize_t n = pread(file, text, sizeof(text), 0);
    cr_assert_geq(n, 8);
    cr_assert_str_eq(text + n - 8, "89abcdef");
    close(file);
}

/* A file that was too long before (an older limit) is cut as well. */
Test(pump, cuts_an_overlong_file) {
    int file = temporary();
    struct pump pump;
    cr_assert_eq(ftruncate(file, 10 * KEEP), 0);
    cr_assert_eq(pump_open(&pump, -1, file, KEEP), 0);
    pump_write(&pump, "x", 1);
    cr_assert_eq(size_of(file), KEEP + 1);
    close(file);
}

/* A file that takes no more must not stop the stream: bytes are dropped, the pipe drains. */
Test(pump, never_waits_for_a_full_disk) {
    int ends[2], file = temporary();
    struct pump pump;
    char chunk[60000];
    memset(chunk, 'x', sizeof(chunk));
    struct rlimit limit = {.rlim_cur = 1000, .rlim_max = RLIM_INFINITY};
    signal(SIGXFSZ, SIG_IGN);
    cr_assert_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    cr_assert_eq(pipe2(ends, O_CLOEXEC), 0);
    cr_assert_eq(fcntl(ends[0], F_SETFL, O_NONBLOCK), 0);
    cr_assert_eq(pump_open(&pump, ends[0], file, KEEP), 0);
    for (int i = 0; i < 5; i++) {
        cr_assert_eq(write(ends[1], chunk, sizeof(chunk)), (ssize_t) sizeof(chunk));
        cr_assert_eq(pump_move(&pump), 1);
    }
    cr_assert_leq(size_of(file), 1000);
    close(ends[1]);
    close(file);
}

Test(pump, a_bad_descriptor_is_an_error) {
    struct pump pump;
    cr_assert_eq(pump_open(&pump, -1, -1, KEEP), -EBADF);
}
