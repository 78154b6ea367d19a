/* Each decision is recorded before it is acted on: a worker sends it to the parent, which
 * writes one line to the account's audit file and one to syslog, and says so. */
#include "../common/chain.h"
#include "helper.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/mount.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <syslog.h>
#include <unistd.h>

#define MAP_FORMAT      "%10u %10u %10u\n" /* as /proc/PID/uid_map says it */
#define LOCK_TRIES      200                /* of 10 ms: another helper of this account may be stopped with the lock */
#define ACK_DEADLINE_MS 10000
#define FILE_MAX        (64ul << 20) /* bytes: what one account may fill before root rotates its file */

/* By enum policy_reason. */
static const char *const words[POLICY_REASONS] = {
    "allowed",         "no-policy",  "unsafe-policy", "bad-line", "not-listed", "denied",
    "special-account", "no-subnet",  "slot",          "no-nat",   "no-vmm",     "memory",
    "vcpus",           "descriptor", "range",         "overlay",  "disk",       "not-recorded"};

enum wire_records audit_ask(int record, const struct audit_record *what) {
    struct pollfd wait = {.fd = record, .events = POLLIN};
    unsigned char ack;
    if (send(record, what, sizeof(*what), MSG_NOSIGNAL) != (ssize_t) sizeof(*what) ||
        poll(&wait, 1, ACK_DEADLINE_MS) != 1 || recv(record, &ack, 1, MSG_DONTWAIT) != 1)
        _exit(1); /* what is not recorded is not done */
    return (enum wire_records) ack;
}

/* Reads or writes a file of /proc/PID, whole. */
static void exchange(long pid, const char *file, int flags, char *text, size_t size) {
    char path[48];
    (void) snprintf(path, sizeof(path), "/proc/%ld/%s", pid, file);
    int fd = open(path, flags | O_CLOEXEC);
    ssize_t n = flags == O_WRONLY ? write(fd, text, size) : read(fd, text, size);
    die_if(fd < 0 || n != (ssize_t) size, "cannot map a user namespace for its audit file");
    (void) close(fd);
}

static void map_account(long pid, const char *file, unsigned id) {
    char text[40];
    int size = snprintf(text, sizeof(text), MAP_FORMAT, 0u, id, 1u);
    exchange(pid, file, O_WRONLY, text, (size_t) size);
}

static void check_map(long pid, const char *file, unsigned id) {
    char wanted[40], text[40];
    int size = snprintf(wanted, sizeof(wanted), MAP_FORMAT, 0u, id, 1u);
    exchange(pid, file, O_RDONLY, text, (size_t) size);
    die_if(memcmp(text, wanted, (size_t) size) != 0, "its user namespace was tampered with");
}

/* Stopped, it would outlive a helper that is killed. */
static void stop(pid_t parent) {
    char *const argv[] = {(char[]){"banger-jail"}, (char[]){"wait"}, NULL};
    _exit(prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) || getppid() != parent || syscall(SYS_close_range, 0, ~0u, 0) ||
          execve(BANGER_LIBEXECDIR "/banger-jail", argv, argv + 2));
}

/* A user namespace that has the account as 0, for an idmapped mount. Only a dumpable process
 * can be mapped: so it executes another program first, to show nothing of the helper's memory,
 * which stops; and the account can trace it. Once it is dead nobody can: what it is in then is
 * checked. */
static int account_as_root(void) {
    siginfo_t state;
    char path[48];
    const pid_t self = getpid();
    cap_raise(CAP_SYS_ADMIN);
    long pid = syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, NULL, NULL, NULL, 0);
    if (pid == 0)
        stop(self);
    cap_lower();
    die_if(pid < 0 || waitid(P_PID, (id_t) pid, &state, WSTOPPED | WEXITED | WNOWAIT),
           "cannot make a user namespace for its audit file: raise user.max_user_namespaces (sysctl)");
    exchange(pid, "setgroups", O_WRONLY, (char[]){"deny"}, 4);
    map_account(pid, "uid_map", getuid());
    map_account(pid, "gid_map", getgid());
    die_if(kill((pid_t) pid, SIGKILL) || waitid(P_PID, (id_t) pid, &state, WEXITED | WNOWAIT), "cannot end a child");
    check_map(pid, "uid_map", getuid());
    check_map(pid, "gid_map", getgid());
    (void) snprintf(path, sizeof(path), "/proc/%ld/ns/user", pid);
    int ns = open(path, O_RDONLY | O_CLOEXEC);
    die_if(ns < 0 || waitpid((pid_t) pid, NULL, 0) != pid, "cannot take its user namespace");
    return ns;
}

static int call_with_admin(long call, long a, const char *path, unsigned flags, void *attr, size_t size) {
    cap_raise(CAP_SYS_ADMIN);
    int r = (int) syscall(call, a, path, flags, attr, size);
    cap_lower();
    return r;
}

/* The account's file, which on disk is root's alone; -1 where there is none to be had:
 * no folder, or a file system or kernel without idmapped mounts. */
static int open_file(void) {
    struct mount_attr attr = {.attr_set = MOUNT_ATTR_IDMAP};
    struct stat st;
    char name[32];
    int folder = call_with_admin(SYS_open_tree, AT_FDCWD, CHAIN_FOLDER,
                                 OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_SYMLINK_NOFOLLOW, NULL, 0);
    if (folder < 0 && (errno == ENOENT || errno == ENOSYS))
        return -1;
    die_if(folder < 0 || fstat(folder, &st) || st.st_uid != 0 || !S_ISDIR(st.st_mode) || (st.st_mode & 077),
           CHAIN_FOLDER " must be a folder of root's, mode 0700: run `make install` again");
    int ns = account_as_root();
    attr.userns_fd = (__u64) ns;
    int r = call_with_admin(SYS_mount_setattr, folder, "", AT_EMPTY_PATH, &attr, sizeof(attr));
    die_if(r && errno != EINVAL && errno != ENOSYS, "cannot map " CHAIN_FOLDER);
    (void) snprintf(name, sizeof(name), CHAIN_FILE, (unsigned) getuid());
    int file = r ? -1 : openat(folder, name, O_RDWR | O_APPEND | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    die_if(!r && file < 0, "cannot open its file in " CHAIN_FOLDER ": is the disk full, or read-only?");
    (void) close(ns);
    (void) close(folder);
    return file;
}

struct audit_log audit_open(void) {
    struct audit_log log = {.syslog = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0), .file = open_file()};
    struct rlimit limit;
    die_if(log.syslog < 0, "cannot make a socket for syslog");
    /* Beyond the limit, which may have been lower before, a write fails. */
    die_if(getrlimit(RLIMIT_FSIZE, &limit) || signal(SIGXFSZ, SIG_IGN) == SIG_ERR, "cannot limit its audit file");
    limit.rlim_cur = limit.rlim_cur < FILE_MAX ? limit.rlim_cur : FILE_MAX;
    die_if(setrlimit(RLIMIT_FSIZE, &limit), "cannot limit its audit file");
    return log;
}

/* 0 when the record is in the file, whole. No state is kept: other helpers of the
 * account write to it too, and root rotates it. */
static int append(int file, struct chain_record *record, char head[CHAIN_HASH_SIZE]) {
    static char tail[CHAIN_TAIL_MAX], line[CHAIN_LINE_MAX];
    const off_t size = lseek(file, 0, SEEK_END), start = size > CHAIN_TAIL_MAX ? size - CHAIN_TAIL_MAX : 0;
    if (size < 0 || pread(file, tail, (size_t) (size - start), start) != size - start)
        return -1;
    size_t length = chain_append(tail, (size_t) (size - start), record, line, head);
    if (write(file, line, length) == (ssize_t) length)
        return 0;
    (void) !ftruncate(file, size); /* what stays behind is covered as a torn line */
    return -1;
}

static enum wire_records to_file(int file, struct chain_record *record, char head[CHAIN_HASH_SIZE]) {
    if (file < 0)
        return WIRE_RECORDS_SYSLOG;
    for (int i = 0; flock(file, LOCK_EX | LOCK_NB); i++) {
        if (i == LOCK_TRIES)
            return WIRE_RECORDS_NONE;
        (void) poll(NULL, 0, 10);
    }
    int r = append(file, record, head);
    (void) flock(file, LOCK_UN);
    return r ? WIRE_RECORDS_NONE : WIRE_RECORDS_FILE;
}

/* A datagram in the form syslog(3) writes; without a listener it is lost, and that is
 * not an error. Never waits: a full socket must not stop every account's requests. */
static void to_syslog(int sock, const struct chain_record *r, const char *head) {
    static const struct sockaddr_un where = {.sun_family = AF_UNIX, .sun_path = "/dev/log"};
    char line[320];
    int n = snprintf(line, sizeof(line),
                     "<%d>banger-helper[%d]: n=%llu head=%s uid=%u pid=%d op=%016llx operation=%s slot=%u verdict=%s "
                     "reason=%u",
                     LOG_AUTHPRIV | LOG_INFO, getpid(), (unsigned long long) r->n, head, r->uid, r->pid,
                     (unsigned long long) r->op_id, r->operation, r->slot, r->verdict, r->reason);
    (void) sendto(sock, line, (size_t) n, MSG_DONTWAIT | MSG_NOSIGNAL, (const struct sockaddr *) &where, sizeof(where));
}

static enum wire_records write_record(const struct audit_log *log, const struct audit_record *r) {
    struct chain_record record = {
        .uid = helper_who.uid,
        .pid = getppid(),
        .op_id = r->op_id,
        .operation = worker_operation(r->op),
        .slot = r->slot,
        .verdict = r->reason == POLICY_ALLOWED ? "allowed" : "denied",
        .reason = r->reason,
        .why = r->reason < POLICY_REASONS ? words[r->reason] : "unknown",
    };
    char head[CHAIN_HASH_SIZE] = "-";
    enum wire_records how = to_file(log->file, &record, head);
    if (how == WIRE_RECORDS_NONE) {
        record.verdict = "denied";
        record.reason = POLICY_NOT_RECORDED;
    }
    if (how != WIRE_RECORDS_FILE)
        record.n = 0;
    to_syslog(log->syslog, &record, how == WIRE_RECORDS_FILE ? head : "-");
    return how;
}

void audit_serve(const struct audit_log *log, const int records[WIRE_WORKERS]) {
    struct pollfd fds[WIRE_WORKERS];
    for (size_t i = 0; i < WIRE_WORKERS; i++)
        fds[i] = (struct pollfd){.fd = records[i], .events = POLLIN};
    for (;;) {
        if (poll(fds, WIRE_WORKERS, -1) < 0 && errno != EINTR)
            return;
        for (size_t i = 0; i < WIRE_WORKERS; i++) {
            struct audit_record r;
            if (!fds[i].revents)
                continue;
            if (recv(fds[i].fd, &r, sizeof(r), MSG_DONTWAIT) != (ssize_t) sizeof(r))
                return; /* the worker ended */
            unsigned char ack = (unsigned char) write_record(log, &r);
            if (send(fds[i].fd, &ack, 1, MSG_NOSIGNAL | MSG_DONTWAIT) != 1)
                return;
        }
    }
}
