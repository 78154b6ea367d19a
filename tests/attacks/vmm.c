/* A VMM that looks around in its jail, says on its console what it sees, and stays. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

static void list(const char *path) {
    DIR *dir = opendir(path);
    printf("folder %s:", path);
    for (struct dirent *e = dir ? readdir(dir) : NULL; e; e = readdir(dir)) {
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
            printf(" %s", e->d_name);
    }
    printf(" .\n");
    if (dir)
        closedir(dir);
}

static void try(const char *what, int flags) {
    int fd = open(what, flags, 0600);
    printf("open %s %s: %s\n", what, flags & O_ACCMODE ? "write" : "read", fd < 0 ? strerror(errno) : "possible");
    if (fd >= 0)
        close(fd);
}

int main(void) {
    static const char *const limits[] = {"as", "nofile", "core", "memlock"};
    static const int numbers[] = {RLIMIT_AS, RLIMIT_NOFILE, RLIMIT_CORE, RLIMIT_MEMLOCK};
    setvbuf(stdout, NULL, _IOLBF, 0);
    printf("fds");
    for (int fd = 0; fd < 1024; fd++) {
        if (fcntl(fd, F_GETFD) >= 0)
            printf(" %d", fd);
    }
    printf(" .\n");
    for (int i = 0; i < 4; i++) {
        struct rlimit l = {0};
        (void) getrlimit((__rlimit_resource_t) numbers[i], &l);
        printf("limit %s %llu\n", limits[i], (unsigned long long) l.rlim_max);
    }
    list("/");
    list("/dev");
    list("/vm");
    try("/proc/self/status", O_RDONLY);
    try("/etc/passwd", O_RDONLY);
    try("/etc/shadow", O_RDONLY);
    try("/kernel", O_RDONLY);
    try("/kernel", O_WRONLY);
    try("/initrd", O_WRONLY);
    try("/new", O_WRONLY | O_CREAT);
    try("/dev/kvm", O_RDWR);
    try("/vm/new", O_WRONLY | O_CREAT);
    printf("socket: %s\n", socket(AF_UNIX, SOCK_STREAM, 0) < 0 ? strerror(errno) : "possible");
    printf("ready\n");
    for (;;)
        sleep(1000);
}
