/* What `vm logs -f` shows of a file that banger-jail keeps bounded meanwhile. */
#include "../../unpriv/cli/logs.h"
#include "../../unpriv/vmm/jail/jail.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define LINE  16
#define LINES 400000 /* 6.1 MiB: the file is cut back several times */
#define STEP  8000   /* between two of which the reader catches up */

static int file_make(void) {
    char name[] = "/tmp/logs.XXXXXX";
    int fd = mkstemp(name);
    cr_assert(fd >= 0 && unlink(name) == 0);
    return fd;
}

/* The VM: numbered lines through banger-jail's pump. */
static void write_lines(int file, int shown) {
    struct pump pump;
    struct stat st = {0};
    char line[LINE + 1];
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) || pump_open(&pump, -1, file, JAIL_CONSOLE_KEEP))
        _exit(1);
    for (int i = 0; i < LINES; i++) {
        (void) snprintf(line, sizeof(line), "line %010d\n", i);
        pump_write(&pump, line, LINE);
        if (i % STEP == STEP - 1)
            while (fstat(shown, &st) == 0 && st.st_size < (off_t) LINE * (i + 1))
                (void) usleep(1000);
    }
    _exit(0);
}

Test(logs, follow_through_what_the_jail_cuts_off, .timeout = 60) {
    struct err e = {0};
    int file = file_make(), shown = file_make();
    char line[LINE + 1] = "", wanted[LINE + 1];
    pid_t pid = fork();
    cr_assert(pid >= 0);
    if (pid == 0)
        write_lines(file, shown);
    struct logs logs = {.list = {{.fd = file, .out = shown}}, .count = 1};
    logs.process = (int) syscall(SYS_pidfd_open, pid, 0);
    cr_assert(logs.process >= 0);
    cr_assert_eq(logs_follow(&logs, &e), 0, "%s", e.text);
    cr_assert_eq(waitpid(pid, NULL, 0), pid, "it ends with the VM");
    struct stat st;
    cr_assert(fstat(file, &st) == 0 && st.st_size <= (off_t) 2 * JAIL_CONSOLE_KEEP);
    cr_assert(fstat(shown, &st) == 0);
    cr_assert_eq(st.st_size, (off_t) LINE * LINES);
    for (int i = 0; i < LINES; i++) {
        (void) snprintf(wanted, sizeof(wanted), "line %010d\n", i);
        cr_assert_eq(pread(shown, line, LINE, (off_t) LINE * i), LINE);
        cr_assert_str_eq(line, wanted);
    }
    (void) close(logs.process);
    (void) close(file);
    (void) close(shown);
}

Test(logs, what_does_not_run_is_shown_and_that_is_all) {
    struct err e = {0};
    int file = file_make(), shown = file_make();
    char text[8] = "";
    cr_assert_eq(write(file, "said\n", 5), 5);
    struct logs logs = {.list = {{.fd = file, .out = shown}}, .count = 1, .process = -1};
    cr_assert_eq(logs_follow(&logs, &e), 0);
    cr_assert_eq(pread(shown, text, sizeof(text), 0), 5);
    cr_assert_str_eq(text, "said\n");
    (void) close(file);
    (void) close(shown);
}
