/* What a VM takes, and starting vmm.c with it. */
#include "attack.h"

#include "../../common/fdpass.h"
#include "../../common/io.h"
#include "../../common/jailargs.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

const char *scratch(const char *name) {
    static char path[8][108];
    static int turn;
    turn = (turn + 1) % 8;
    const char *folder = getenv("ATTACK_FOLDER");
    if (!folder || snprintf(path[turn], sizeof(path[turn]), "%s/%s", folder, name) >= (int) sizeof(path[turn]))
        give_up("ATTACK_FOLDER is not set");
    return path[turn];
}

static int file(const char *name, int flags, off_t size) {
    int fd = open(scratch(name), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0 || ftruncate(fd, size))
        give_up("%s: %s", name, strerror(errno));
    if (flags == O_RDWR)
        return fd;
    close(fd);
    return open(scratch(name), flags | O_CLOEXEC);
}

static int listener(const char *name) {
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    (void) snprintf(a.sun_path, sizeof(a.sun_path), "%s", scratch(name));
    (void) unlink(a.sun_path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *) &a, sizeof(a)) || listen(fd, 1))
        give_up("%s: %s", name, strerror(errno));
    return fd;
}

static int arguments(void) {
    static struct jail_args none = {.magic = JAIL_ARGS_MAGIC};
    int fd = memfd_create("arguments", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0 || write(fd, &none, sizeof(none)) != (ssize_t) sizeof(none) ||
        fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE))
        give_up("cannot make arguments");
    return fd;
}

struct machine machine(struct lab_helper *h, uid_t uid, uint32_t slot) {
    struct machine m = {.pidfd = -1};
    struct wire_request up = request(WIRE_NET_UP, slot, 0);
    struct wire_reply reply;
    lab_sh("rm -rf %s && install -d -o %d -g %d -m 0755 %s", scratch(""), uid, uid, scratch(""));
    become(uid);
    (void) mkdir(scratch("jail"), 0700);
    m.fds[SPAWN_ARGS] = arguments();
    m.fds[SPAWN_LOG] = file("log", O_RDWR, 0);
    m.fds[SPAWN_STATUS] = file("status", O_RDWR, 0);
    m.fds[SPAWN_CONSOLE] = file("console", O_RDWR, 0);
    m.fds[SPAWN_JAIL] = open(scratch("jail"), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    m.fds[SPAWN_KERNEL] = file("kernel", O_RDONLY, 4096);
    m.fds[SPAWN_INITRD] = file("initrd", O_RDONLY, 4096);
    m.fds[SPAWN_ROOT] = file("root", O_RDWR, 1 << 20);
    m.fds[SPAWN_WORK] = file("work", O_RDWR, 1 << 20);
    m.fds[SPAWN_QMP] = listener("qmp");
    m.fds[SPAWN_AGENT] = listener("agent");
    become_root();
    m.fds[SPAWN_TAP] = -1;
    m.fds[SPAWN_CGROUP] = -1;
    if (exchange(h, WIRE_NET, &up, NULL, 0, &reply, &m.fds[SPAWN_TAP]) || m.fds[SPAWN_TAP] < 0)
        give_up("no tap for a VM: verdict %u reason %u error %d step %u", reply.verdict, reply.reason, reply.error,
                reply.step);
    if (flock(m.fds[SPAWN_STATUS], LOCK_EX | LOCK_NB))
        give_up("cannot lock");
    return m;
}

int spawn(struct lab_helper *h, struct machine *m, uint32_t slot) {
    struct wire_request rq = request(WIRE_VMM_SPAWN, slot, 0);
    struct wire_reply reply;
    rq.memory_mib = 256;
    rq.vcpus = 1;
    if (exchange(h, WIRE_VMM, &rq, m->fds, SPAWN_FDS, &reply, &m->pidfd))
        return GONE;
    m->pid = reply.pid;
    if (reply.verdict == WIRE_FAILED)
        printf("    VMM_SPAWN: error %d in step %x\n", reply.error, reply.step);
    return (int) (reply.verdict * 1000 + (reply.verdict == WIRE_DENIED ? reply.reason : (uint32_t) reply.error));
}

const char *machine_says(const struct machine *m) {
    static char text[65536];
    for (int i = patience(100); i > 0; i--, usleep(20000)) {
        ssize_t n = pread(m->fds[SPAWN_CONSOLE], text, sizeof(text) - 1, 0);
        text[n > 0 ? n : 0] = '\0';
        if (strstr(text, "ready\n") || (m->pidfd >= 0 && readable(m->pidfd, 0)))
            break;
    }
    if (!strstr(text, "ready\n")) {
        ssize_t n = pread(m->fds[SPAWN_LOG], text, sizeof(text) - 1, 0);
        text[n > 0 ? n : 0] = '\0';
    }
    return text;
}

void machine_end(struct machine *m) {
    if (m->pidfd >= 0) {
        (void) syscall(SYS_pidfd_send_signal, m->pidfd, SIGKILL, NULL, 0);
        (void) readable(m->pidfd, 3000);
        close(m->pidfd);
    }
    fdpass_close(m->fds, SPAWN_ROLES);
    m->pidfd = -1;
}
