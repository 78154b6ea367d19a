#include "process.h"

#include "../../common/cleanup.h"
#include "../../common/io.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static int add_fd(posix_spawn_file_actions_t *actions, int fd, int number) {
    if (fd < 0)
        return posix_spawn_file_actions_addopen(actions, number, "/dev/null", O_RDWR, 0);
    return posix_spawn_file_actions_adddup2(actions, fd, number);
}

static int add_actions(posix_spawn_file_actions_t *actions, const struct process *p, const int fds[4]) {
    int r = 0;
    for (int number = 0; r == 0 && number < 3; number++)
        r = add_fd(actions, fds[number], number);
    if (r == 0 && fds[3] > 0)
        r = add_fd(actions, fds[3], 3);
    if (r == 0)
        r = posix_spawn_file_actions_addclosefrom_np(actions, fds[3] > 0 ? 4 : 3);
    if (r == 0 && p->cwd)
        r = posix_spawn_file_actions_addchdir_np(actions, p->cwd);
    return r;
}

static int add_attributes(posix_spawnattr_t *attributes, const struct process *p) {
    sigset_t none, all;
    (void) sigemptyset(&none);
    (void) sigfillset(&all);
    int flags = POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | (p->own_group ? POSIX_SPAWN_SETPGROUP : 0);
    int r = posix_spawnattr_setflags(attributes, (short) flags);
    if (r == 0)
        r = posix_spawnattr_setsigmask(attributes, &none);
    if (r == 0)
        r = posix_spawnattr_setsigdefault(attributes, &all);
    return r;
}

/* A copy above the numbers that the child's own descriptors get, so that giving
 * one cannot overwrite another. */
static int lift(int fd) {
    return fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 10);
}

int process_start(const struct process *p, pid_t *pid, struct err *e) {
    int fds[4] = {lift(p->in), lift(p->out), lift(p->err), p->third > 0 ? lift(p->third) : 0};
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    int r = posix_spawn_file_actions_init(&actions);
    if (r == 0) {
        r = posix_spawnattr_init(&attributes);
        if (r == 0) {
            r = add_actions(&actions, p, fds);
            if (r == 0)
                r = add_attributes(&attributes, p);
            if (r == 0)
                r = posix_spawnp(pid, p->argv[0], &actions, &attributes, (char *const *) p->argv,
                                 p->env ? p->env : environ);
            (void) posix_spawnattr_destroy(&attributes);
        }
        (void) posix_spawn_file_actions_destroy(&actions);
    }
    for (size_t i = 0; i < 4; i++) {
        if (fds[i] > 0)
            (void) close(fds[i]);
    }
    if (r && p->cwd && access(p->cwd, X_OK) < 0)
        return err_sys(e, errno, "cannot enter %s", p->cwd);
    if (r == ENOENT && p->argv[0][0] != '/')
        return err_set(e, ENOENT, "the program %s is missing: install the package that has it", p->argv[0]);
    return r ? err_sys(e, r, "cannot start %s", p->argv[0]) : 0;
}

int process_wait(pid_t pid) {
    int status = 0;
    while (waitpid(pid, &status, 0) < 0) {
        if (errno != EINTR)
            return 127;
    }
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

/* The whole of a memfd as a NUL-terminated text, the caller's. */
static char *slurp(int fd, size_t *size) {
    struct stat st;
    if (fstat(fd, &st) < 0 || lseek(fd, 0, SEEK_SET) < 0)
        return NULL;
    char *text = malloc((size_t) st.st_size + 1);
    if (!text)
        return NULL;
    ssize_t n = io_read_some(fd, text, (size_t) st.st_size);
    *size = n < 0 ? 0 : (size_t) n;
    text[*size] = 0;
    return text;
}

int process_run(const struct process *p, const void *input, size_t input_size, struct process_output *o,
                struct err *e) {
    cleanup_fd int in = memfd_create("stdin", MFD_CLOEXEC);
    cleanup_fd int out = memfd_create("stdout", MFD_CLOEXEC);
    cleanup_fd int err = memfd_create("stderr", MFD_CLOEXEC);
    memset(o, 0, sizeof(*o));
    if (in < 0 || out < 0 || err < 0)
        return err_sys(e, errno, "cannot run %s", p->argv[0]);
    int r = input_size ? io_write(in, input, input_size) : 0;
    if (r < 0 || lseek(in, 0, SEEK_SET) < 0)
        return err_sys(e, r < 0 ? -r : errno, "cannot run %s", p->argv[0]);
    struct process with = *p;
    with.in = in;
    with.out = out;
    with.err = err;
    pid_t pid = 0;
    r = process_start(&with, &pid, e);
    if (r < 0)
        return r;
    o->status = process_wait(pid);
    size_t unused = 0;
    o->out = slurp(out, &o->out_size);
    o->err = slurp(err, &unused);
    if (o->out && o->err)
        return 0;
    process_output_free(o);
    return err_set(e, ENOMEM, "not enough memory for what %s said", p->argv[0]);
}

void process_output_free(struct process_output *o) {
    free(o->out);
    free(o->err);
    o->out = o->err = NULL;
}

char *process_last_line(char *text) {
    size_t end = strlen(text);
    while (end > 0 && (text[end - 1] == '\n' || text[end - 1] == '\r'))
        text[--end] = 0;
    char *newline = strrchr(text, '\n');
    return newline ? newline + 1 : text;
}
