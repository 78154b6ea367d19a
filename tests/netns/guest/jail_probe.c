/* A VMM that was taken over: run in the jail in place of QEMU, it tries to get out.
 * One line a result on stdout: "ok NAME", or what went wrong. Exits with 42. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/utsname.h>
#include <unistd.h>

extern char **environ;

/* The call must fail. */
static void refused(const char *name, long result) {
    if (result < 0)
        printf("ok probe: %s (%s)\n", name, strerror(errno));
    else
        printf("%s succeeded\n", name);
}
static void holds(const char *name, int good) {
    if (good)
        printf("ok probe: %s\n", name);
    else
        printf("%s does not hold (%s)\n", name, strerror(errno));
}

static void limits(void) {
    struct rlimit l;
    holds("no core files", getrlimit(RLIMIT_CORE, &l) == 0 && l.rlim_max == 0);
    holds("no locked memory", getrlimit(RLIMIT_MEMLOCK, &l) == 0 && l.rlim_max == 0);
    holds("few descriptors", getrlimit(RLIMIT_NOFILE, &l) == 0 && l.rlim_max <= 1024);
    holds("bounded memory", getrlimit(RLIMIT_AS, &l) == 0 && l.rlim_max == (256ul + 1536 + 2 * 16) << 20);
}

static void files(void) {
    refused("cannot see /proc", open("/proc/self/status", O_RDONLY));
    refused("cannot see /etc", open("/etc/passwd", O_RDONLY));
    refused("cannot write /usr", open("/usr/x", O_WRONLY | O_CREAT, 0600));
    refused("cannot write the root", open("/x", O_WRONLY | O_CREAT, 0600));
    refused("cannot write the kernel", open("/kernel", O_WRONLY));
    refused("cannot write itself", open("/banger-jail", O_WRONLY));
    refused("cannot make a node", mknod("/vm/disk", S_IFBLK | 0600, makedev(254, 0)));
    refused("cannot make a set-id file", chmod("/vm", 04777));
    int fd = open("/vm/file", O_RDWR | O_CREAT, 0666);
    struct stat st;
    holds("writes its own folder", fd >= 0 && write(fd, "x", 1) == 1);
    holds("nobody else reads what it writes", fstat(fd, &st) == 0 && (st.st_mode & 077) == 0);
    holds("opens /dev/null", open("/dev/null", O_RDWR) >= 0);
    holds("opens /dev/urandom", open("/dev/urandom", O_RDONLY) >= 0);
    char *argv[] = {(char[]){"/usr/bin/true"}, NULL};
    refused("cannot execute another program", execve(argv[0], argv, environ));
}

static void calls(void) {
    refused("cannot mount", mount("none", "/vm", "tmpfs", 0, NULL));
    refused("cannot unshare", unshare(CLONE_NEWUSER));
    refused("cannot enter a namespace", setns(0, 0));
    refused("cannot make a socket", socket(AF_UNIX, SOCK_STREAM, 0));
    refused("cannot make an internet socket", socket(AF_INET, SOCK_STREAM, 0));
    refused("cannot attach to banger-jail", ptrace(PTRACE_ATTACH, 1, NULL, NULL));
    refused("cannot kill banger-jail", kill(1, SIGKILL));
    refused("cannot take banger-jail's descriptors", syscall(SYS_pidfd_open, 1, 0));
    refused("cannot use io_uring", syscall(SYS_io_uring_setup, 1, NULL));
    refused("cannot use bpf", syscall(SYS_bpf, 0, NULL, 0));
    refused("cannot fork by vfork", syscall(SYS_vfork));
    refused("cannot change its root", chroot("/vm"));
    refused("cannot become another", setresuid(0, 0, 0));
    refused("cannot push terminal input", ioctl(0, 0x5412, "x"));
}

static void place(void) {
    struct utsname u;
    int open_count = 0;
    for (int fd = 3; fd < 1024; fd++) {
        if (fcntl(fd, F_GETFD) >= 0)
            open_count += fd >= 10 && fd <= 14 ? 1 : 100;
    }
    holds("has the five declared descriptors", open_count == 5);
    holds("is no longer init", getpid() != 1 && getppid() == 1);
    holds("does not know the host's name", uname(&u) == 0 && strcmp(u.nodename, "vm") == 0);
    holds("has no environment of the caller", environ[0] && !environ[1] && strncmp(environ[0], "MALLOC_", 7) == 0);
}

int main(void) {
    setvbuf(stdout, NULL, _IOLBF, 0);
    place();
    limits();
    files();
    calls();
    fprintf(stderr, "to stderr\n");
    return 42;
}
