/* banger-fetch and banger-import as the engine starts them: from the first exec to the end of both.
 *
 *   pull REQUEST CACHE PLAN CONFIG IMAGE    prints seconds, and the most MiB that the import had
 *
 * REQUEST and PLAN are files with what fetch/request.h and plan.h say, CACHE the blob cache's
 * folder; IMAGE and CONFIG are made anew. The programs are those of build/. */
#include <err.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PIPE_SIZE (1 << 20) /* as unpriv/image/fetcher.c asks for */

static int file(const char *path, int flags) {
    int fd = open(path, flags | O_CLOEXEC, 0600);
    if (fd < 0)
        err(1, "%s", path);
    return fd;
}

/* `fds` become 3, 4, ...; messages go to our standard error, but for progress. */
static pid_t start(const char *program, const int *fds, int count) {
    char *const argv[] = {(char *) program, NULL}, *const environment[] = {NULL};
    pid_t pid = fork();
    if (pid < 0)
        err(1, "fork");
    if (pid)
        return pid;
    int null = open("/dev/null", O_RDWR), kept[8];
    for (int i = 0; i < count; i++) /* out of the way of the numbers they get */
        kept[i] = fcntl(fds[i], F_DUPFD_CLOEXEC, 20);
    for (int i = 0; i < count; i++)
        (void) dup2(kept[i], 3 + i);
    (void) dup2(null, STDIN_FILENO);
    (void) dup2(null, STDOUT_FILENO);
    (void) execve(program, argv, environment);
    _exit(127);
}

static double now(void) {
    struct timespec t;
    (void) clock_gettime(CLOCK_MONOTONIC, &t);
    return (double) t.tv_sec + (double) t.tv_nsec / 1e9;
}

int main(int argc, char **argv) {
    int ends[2], bad = 0;
    double most = 0;
    if (argc != 6)
        errx(2, "usage: pull REQUEST CACHE PLAN CONFIG IMAGE");
    if (pipe2(ends, O_CLOEXEC))
        err(1, "pipe");
    (void) fcntl(ends[1], F_SETPIPE_SZ, PIPE_SIZE);
    const int fetch[] = {file(argv[1], O_RDONLY), file(argv[2], O_RDONLY | O_DIRECTORY), ends[1],
                         file(argv[4], O_RDWR | O_CREAT | O_TRUNC)};
    const int import[] = {file(argv[3], O_RDONLY), ends[0], file(argv[5], O_RDWR | O_CREAT | O_TRUNC)};
    const double from = now();
    (void) start("build/banger-fetch", fetch, 4);
    const pid_t importer = start("build/banger-import", import, 3);
    (void) close(ends[0]);
    (void) close(ends[1]);
    for (int i = 0; i < 2; i++) {
        struct rusage used;
        int status = 0;
        pid_t pid = wait4(-1, &status, 0, &used);
        bad |= pid < 0 || status;
        most = pid == importer ? (double) used.ru_maxrss / 1024 : most;
    }
    printf("%.4f %.1f\n", now() - from, most);
    return bad;
}
