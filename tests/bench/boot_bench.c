/* Bare QEMU with the argument vector, kernel, initramfs and accelerator that
 * banger used: from exec to the agent's WELCOME, then power off by signal.
 *
 *   boot_bench ARGV KERNEL INITRD ROOT WORK    prints milliseconds
 *
 * ARGV is a copy of the running VMM's /proc/PID/cmdline; the descriptors it names
 * are opened here under the same numbers. */
#include "../../common/io.h"
#include "../../common/mux.h"
#include "../../common/wire.h"

#include <err.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static void place(int fd, enum wire_spawn_fd role) {
    if (fd < 0 || dup2(fd, SPAWN_FD_NUMBER((int) role)) < 0)
        err(1, "descriptor %d", role);
}

static int listener(const char *path, struct sockaddr_un *address) {
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    address->sun_family = AF_UNIX;
    (void) snprintf(address->sun_path, sizeof(address->sun_path), "%s", path);
    (void) unlink(path);
    if (fd < 0 || bind(fd, (struct sockaddr *) address, sizeof(*address)) || listen(fd, 1))
        err(1, "%s", path);
    return fd;
}

static int tap(void) {
    struct ifreq request = {.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR};
    int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
    int header = 12;
    if (fd < 0 || ioctl(fd, TUNSETIFF, &request) || ioctl(fd, TUNSETVNETHDRSZ, &header))
        err(1, "tap");
    return fd;
}

static char **arguments(char *text, size_t size, char *kernel, char *initrd) {
    static char *argv[256];
    size_t n = 0;
    for (char *p = text; p < text + size && n < 255; p += strlen(p) + 1)
        argv[n++] = strcmp(p, "/kernel") == 0 ? kernel : strcmp(p, "/initrd") == 0 ? initrd : p;
    return argv;
}

static void await_welcome(const struct sockaddr_un *agent) {
    struct {
        struct mux_header header;
        struct mux_hello hello;
    } hello = {{MUX_MAGIC, MUX_HELLO, 0, 0, sizeof(struct mux_hello)}, {.nonce = "bench", .version = MUX_VERSION}};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (const struct sockaddr *) agent, sizeof(*agent)) || io_write(fd, &hello, sizeof(hello)))
        err(1, "agent");
    struct mux_header header;
    if (io_wait(fd, POLLIN, 60000) || io_read(fd, &header, sizeof(header)) || header.type != MUX_WELCOME)
        errx(1, "no WELCOME within 60 s");
    (void) close(fd);
}

int main(int argc, char **argv) {
    static char text[65536];
    if (argc != 6)
        errx(2, "usage: boot_bench ARGV KERNEL INITRD ROOT WORK");
    int file = open(argv[1], O_RDONLY | O_CLOEXEC);
    ssize_t size = io_read_some(file, text, sizeof(text) - 1);
    if (size <= 0)
        err(1, "%s", argv[1]);
    struct sockaddr_un qmp, agent;
    char **vmm = arguments(text, (size_t) size, argv[2], argv[3]);
    /* High numbers first, so that placing them cannot overwrite one another. */
    int fds[] = {fcntl(open(argv[4], O_RDWR | O_CLOEXEC), F_DUPFD, 100),
                 fcntl(open(argv[5], O_RDWR | O_CLOEXEC), F_DUPFD, 100),
                 fcntl(listener("qmp.sock", &qmp), F_DUPFD, 100), fcntl(listener("agent.sock", &agent), F_DUPFD, 100),
                 fcntl(tap(), F_DUPFD, 100)};
    struct timespec start, end;
    (void) clock_gettime(CLOCK_MONOTONIC, &start);
    pid_t pid = fork();
    if (pid == 0) {
        (void) prctl(PR_SET_PDEATHSIG, SIGKILL);
        place(fds[0], SPAWN_ROOT);
        place(fds[1], SPAWN_WORK);
        place(fds[2], SPAWN_QMP);
        place(fds[3], SPAWN_AGENT);
        place(fds[4], SPAWN_TAP);
        (void) dup2(open("/dev/null", O_RDWR), STDIN_FILENO);
        (void) dup2(open("console.log", O_WRONLY | O_CREAT | O_TRUNC, 0600), STDOUT_FILENO);
        execv(vmm[0], vmm);
        err(127, "%s", vmm[0]);
    }
    await_welcome(&agent);
    (void) kill(pid, SIGTERM);
    (void) waitpid(pid, NULL, 0);
    (void) clock_gettime(CLOCK_MONOTONIC, &end);
    printf("%ld\n", (end.tv_sec - start.tv_sec) * 1000 + (end.tv_nsec - start.tv_nsec) / 1000000);
    return 0;
}
