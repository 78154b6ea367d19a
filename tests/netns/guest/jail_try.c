#include "jail_try.h"

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
#include <sys/time.h>
#include <sys/utsname.h>
#include <unistd.h>

extern char **environ;

void refused(const char *name, long result) {
    if (result < 0)
        printf("ok probe: %s (%s)\n", name, strerror(errno));
    else
        printf("%s succeeded\n", name);
}

void holds(const char *name, int good) {
    if (good)
        printf("ok probe: %s\n", name);
    else
        printf("%s does not hold (%s)\n", name, strerror(errno));
}

int strangers(int first, int last, int *inside) {
    int others = 0;
    *inside = 0;
    for (int fd = 3; fd < 2048; fd++) {
        if (fcntl(fd, F_GETFD) < 0)
            continue;
        if (fd >= first && fd <= last)
            ++*inside;
        else
            others++;
    }
    return others;
}

void try_limits(void) {
    struct rlimit l;
    holds("no core files", getrlimit(RLIMIT_CORE, &l) == 0 && l.rlim_max == 0);
    holds("no locked memory", getrlimit(RLIMIT_MEMLOCK, &l) == 0 && l.rlim_max == 0);
    holds("few descriptors", getrlimit(RLIMIT_NOFILE, &l) == 0 && l.rlim_max <= 1024);
    holds("bounded memory", getrlimit(RLIMIT_AS, &l) == 0 && l.rlim_max == (256ul + 1536 + 2 * 16) << 20);
}

void try_files(void) {
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
    close(fd);
    fd = open("/dev/null", O_RDWR);
    holds("opens /dev/null", fd >= 0);
    close(fd);
    fd = open("/dev/urandom", O_RDONLY);
    holds("opens /dev/urandom", fd >= 0);
    close(fd);
    char *argv[] = {(char[]){"/usr/bin/true"}, NULL};
    refused("cannot execute another program", execve(argv[0], argv, environ));
}

void try_calls(void) {
    refused("cannot mount", mount("none", "/vm", "tmpfs", 0, NULL));
    refused("cannot unshare", unshare(CLONE_NEWUSER));
    refused("cannot enter a namespace", setns(0, 0));
    refused("cannot make an internet socket", socket(AF_INET, SOCK_STREAM, 0));
    refused("cannot attach to banger-jail", ptrace(PTRACE_ATTACH, 1, NULL, NULL));
    refused("cannot kill banger-jail", kill(1, SIGKILL));
    refused("cannot take banger-jail's descriptors", syscall(SYS_pidfd_open, 1, 0));
    refused("cannot use io_uring", syscall(SYS_io_uring_setup, 1, NULL));
    refused("cannot use bpf", syscall(SYS_bpf, 0, NULL, 0));
    refused("cannot use userfaultfd", syscall(SYS_userfaultfd, 0));
    refused("cannot use performance counters", syscall(SYS_perf_event_open, NULL, 0, -1, -1, 0));
    refused("cannot read the account's keyring", syscall(SYS_keyctl, 0, -3, 0, 0, 0));
    refused("cannot add a key", syscall(SYS_add_key, "user", "x", "x", 1ul, -3));
    refused("cannot fork by vfork", syscall(SYS_vfork));
    refused("cannot change its root", chroot("/vm"));
    refused("cannot become another", setresuid(0, 0, 0));
    refused("cannot push terminal input", ioctl(0, 0x5412, "x"));
}

void try_place(void) {
    struct utsname u;
    struct itimerval timer = {0};
    sigset_t blocked;
    int handled = 0;
    for (int number = 1; number < 32; number++) {
        struct sigaction action = {0};
        handled += sigaction(number, NULL, &action) == 0 && action.sa_handler != SIG_DFL;
    }
    holds("has no signal ignored or blocked",
          handled == 0 && sigprocmask(SIG_SETMASK, NULL, &blocked) == 0 && sigisemptyset(&blocked));
    holds("has no timer", getitimer(ITIMER_REAL, &timer) < 0 || timer.it_value.tv_sec == 0);
    holds("has no controlling terminal", open("/dev/tty", O_RDWR) < 0);
    holds("is no longer init", getpid() != 1 && getppid() == 1);
    holds("does not know the host's name", uname(&u) == 0 && strcmp(u.nodename, "vm") == 0);
    holds("has no environment of the caller", environ[0] && !environ[1] && strncmp(environ[0], "MALLOC_", 7) == 0);
}
