#include "attack.h"

#include "../../common/fdpass.h"
#include "../../common/io.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <net/if.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

/* Mutants are waited for less: what does not end soon does not end. */
#define END_MS patience(getenv("ATTACK_HASTE") ? 1000 : 8000)

static int failures;

void expect(int good, const char *format, ...) {
    va_list args;
    if (good)
        return;
    failures++;
    printf("    ");
    va_start(args, format);
    (void) vprintf(format, args);
    va_end(args);
    printf("\n");
}

void give_up(const char *format, ...) {
    va_list args;
    printf("    ");
    va_start(args, format);
    (void) vprintf(format, args);
    va_end(args);
    printf("\n");
    (void) fflush(stdout);
    _exit(1);
}

void skip(const char *format, ...) {
    va_list args;
    printf("    ");
    va_start(args, format);
    (void) vprintf(format, args);
    va_end(args);
    printf("\n");
    (void) fflush(stdout);
    _exit(77);
}

int attack_failures(void);
int attack_failures(void) {
    return failures;
}

/* --- the helper ------------------------------------------------------------------- */

struct lab_helper start(uid_t uid) {
    return lab_start(LAB_HELPER, uid, 1, NULL);
}

int socket_of(const struct lab_helper *h, enum wire_worker worker) {
    return worker == WIRE_NET ? h->net : worker == WIRE_DISK ? h->disk : h->vmm;
}

struct wire_request request(enum wire_op op, uint32_t slot, uint32_t kind) {
    return (struct wire_request){.version = WIRE_VERSION,
                                 .size = sizeof(struct wire_request),
                                 .op = op,
                                 .op_id = 0x5eed,
                                 .slot = slot,
                                 .kind = kind};
}

int exchange(struct lab_helper *h, enum wire_worker worker, const struct wire_request *rq, const int *fds, size_t count,
             struct wire_reply *reply, int *fd) {
    int sock = socket_of(h, worker), got = -1;
    size_t have = 0;
    int r = fdpass_send(sock, rq, sizeof(*rq), fds, count);
    if (!r)
        r = io_wait(sock, POLLIN, patience(15000));
    if (!r) {
        ssize_t n = fdpass_recv(sock, reply, sizeof(*reply), &got, 1, &have);
        r = n == (ssize_t) sizeof(*reply) ? 0 : n < 0 ? (int) n : -EPIPE;
    }
    if (fd)
        *fd = got;
    else if (got >= 0)
        close(got);
    return r;
}

int ask(struct lab_helper *h, enum wire_worker worker, const struct wire_request *rq, const int *fds, size_t count) {
    struct wire_reply reply;
    if (exchange(h, worker, rq, fds, count, &reply, NULL))
        return GONE;
    uint32_t detail = reply.verdict == WIRE_DENIED ? reply.reason : (uint32_t) reply.error;
    return (int) (reply.verdict * 1000 + detail);
}

int ask_net(struct lab_helper *h, enum wire_op op, uint32_t slot, uint32_t kind) {
    struct wire_request rq = request(op, slot, kind);
    return ask(h, WIRE_NET, &rq, NULL, 0);
}

uint64_t slots_of(struct lab_helper *h) {
    struct wire_request rq = request(WIRE_NET_LIST, 0, 0);
    struct wire_reply reply;
    if (exchange(h, WIRE_NET, &rq, NULL, 0, &reply, NULL) || reply.verdict != WIRE_DONE)
        return ~0ull;
    return reply.slots[0];
}

/* The vmm worker has no operation without descriptors: a request beyond the slots is denied. */
void ready(struct lab_helper *h) {
    struct wire_request list = request(WIRE_SNAP_LIST, 0, 0), trial = request(WIRE_VMM_SPAWN, SLOT_MAX - 1, 0);
    int fds[SPAWN_TRIAL_FDS];
    for (int i = 0; i < SPAWN_TRIAL_FDS; i++)
        fds[i] = memfd_create("x", MFD_CLOEXEC);
    trial.style = SPAWN_TRIAL;
    if (ask_net(h, WIRE_NET_LIST, 0, 0) == GONE || ask(h, WIRE_DISK, &list, NULL, 0) == GONE ||
        ask(h, WIRE_VMM, &trial, fds, SPAWN_TRIAL_FDS) == GONE)
        give_up("a worker does not answer%s", ends_saying(h, "") ? " and the helper ended" : "");
    fdpass_close(fds, SPAWN_TRIAL_FDS);
}

struct lab_helper start_ready(uid_t uid) {
    struct lab_helper h = start(uid);
    ready(&h);
    return h;
}

void workers_of(const struct lab_helper *h, pid_t workers[WIRE_WORKERS]) {
    const char *text = content("/proc/%d/task/%d/children", h->pid, h->pid);
    if (sscanf(text, "%d %d %d", &workers[0], &workers[1], &workers[2]) != WIRE_WORKERS)
        give_up("the helper has not its three workers: %s", text);
}

int ends_saying(struct lab_helper *h, const char *text) {
    char said[4096] = "";
    size_t have = 0;
    long long end = io_now_ms() + END_MS;
    ssize_t n = 1;
    while (n > 0 && have < sizeof(said) - 1 && io_now_ms() < end &&
           io_wait(h->errors, POLLIN, (int) (end - io_now_ms())) == 0) {
        n = read(h->errors, said + have, sizeof(said) - 1 - have);
        have += n > 0 ? (size_t) n : 0;
    }
    if (n != 0) {
        printf("    it goes on (and said: %s)\n", said);
        return 0;
    }
    said[have] = '\0';
    int status = 0;
    close(h->net);
    close(h->disk);
    close(h->vmm);
    waitpid(h->pid, &status, 0);
    close(h->errors);
    if (WIFSIGNALED(status) || !strstr(said, text)) {
        printf("    it ended with status %x and said: %s\n", status, said);
        return 0;
    }
    return 1;
}

int refuses(const char *path, uid_t uid, void (*prepare)(void), const char *text) {
    struct lab_helper h = lab_start(path, uid, 1, prepare);
    return ends_saying(&h, text);
}

int serves(uid_t uid, void (*prepare)(void)) {
    struct lab_helper h = lab_start(LAB_HELPER, uid, 1, prepare);
    struct wire_request list = request(WIRE_SNAP_LIST, 0, 0);
    int good = ask_net(&h, WIRE_NET_LIST, 0, 0) == 0 && ask(&h, WIRE_DISK, &list, NULL, 0) != GONE;
    if (good)
        lab_end(&h);
    else
        (void) ends_saying(&h, "");
    return good;
}

void clean(uid_t uid) {
    struct lab_helper h = start(uid);
    uint64_t have = slots_of(&h);
    for (uint32_t slot = 0; slot < 64 && have != ~0ull; slot++) {
        if (have >> slot & 1)
            (void) ask_net(&h, WIRE_NET_DOWN, slot, 0);
    }
    lab_end(&h);
}

/* --- looking ------------------------------------------------------------------------ */

int as_account(uid_t uid, int (*function)(void *), void *arg) {
    pid_t pid = fork();
    if (pid == 0) {
        if (setgroups(0, NULL) || setresgid(uid, uid, uid) || setresuid(uid, uid, uid))
            _exit(120);
        _exit(function(arg));
    }
    int status = 0;
    if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
        return 121;
    return WEXITSTATUS(status);
}

void become(uid_t uid) {
    if (setegid(uid) || seteuid(uid))
        give_up("cannot become %u", uid);
}
void become_root(void) {
    if (seteuid(0) || setegid(0))
        give_up("cannot become root again");
}

const char *content(const char *format, ...) {
    static char text[65536];
    char path[256];
    va_list args;
    va_start(args, format);
    (void) vsnprintf(path, sizeof(path), format, args);
    va_end(args);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? 0 : io_read_some(fd, text, sizeof(text) - 1);
    if (fd >= 0)
        close(fd);
    text[n > 0 ? n : 0] = '\0';
    return text;
}

static const char *status_field(pid_t pid, const char *field) {
    const char *text = content("/proc/%d/status", pid);
    const char *at = strstr(text, field);
    if (!at || at[strlen(field)] != ':')
        give_up("process %d has no %s: %s", pid, field, text);
    return at + strlen(field) + 1;
}
unsigned long long status_hex(pid_t pid, const char *field) {
    return strtoull(status_field(pid, field), NULL, 16);
}
long status_number(pid_t pid, const char *field) {
    return strtol(status_field(pid, field), NULL, field[0] == 'U' && field[1] == 'm' ? 8 : 10);
}

size_t count_fds(pid_t pid) {
    char path[64];
    (void) snprintf(path, sizeof(path), "/proc/%d/fd", pid);
    DIR *dir = opendir(path);
    size_t count = 0;
    for (struct dirent *e = dir ? readdir(dir) : NULL; e; e = readdir(dir))
        count += e->d_name[0] != '.';
    if (dir)
        closedir(dir);
    return count;
}

const char *tap(uid_t uid, uint32_t slot) {
    static char name[2][IFNAME_SIZE];
    static int turn;
    turn ^= 1;
    addr_tap_name(name[turn], uid, slot);
    return name[turn];
}
const char *bridge(uid_t uid) {
    static char name[2][IFNAME_SIZE];
    static int turn;
    turn ^= 1;
    addr_bridge_name(name[turn], uid);
    return name[turn];
}
int interface_exists(const char *name) {
    return if_nametoindex(name) != 0;
}
int patience(int ms) {
    const char *slow = getenv("ATTACK_SLOW");
    int times = slow ? atoi(slow) : 1;
    return ms * (times > 1 ? times : 1);
}
int interface_goes(const char *name) {
    for (int i = patience(200); i > 0 && interface_exists(name); i--)
        usleep(10000);
    return !interface_exists(name);
}
int readable(int fd, int timeout_ms) {
    return io_wait(fd, POLLIN, patience(timeout_ms)) == 0;
}
int is_closed(int fd, int timeout_ms) {
    struct pollfd p = {.fd = fd, .events = POLLIN};
    return poll(&p, 1, patience(timeout_ms)) == 1 && (p.revents & (POLLHUP | POLLERR));
}
int is_running(pid_t pid) {
    const char *state = strrchr(content("/proc/%d/stat", pid), ')');
    return state && state[2] != 'Z' && state[2] != 'X';
}
