/* The guest of the jail test: an initramfs's /init that loads the modules named
 * in /modules, uses every device of the machine, and says on the console and on
 * the agent's port what worked. On the port, "off" powers it off; other lines
 * come back. Built static; not part of banger. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <linux/input.h>
#include <net/if.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

static void load_modules(void) {
    char name[256];
    FILE *list = fopen("/modules", "r");
    while (list && fgets(name, sizeof(name), list)) {
        name[strcspn(name, "\n")] = '\0';
        int fd = open(name, O_RDONLY | O_CLOEXEC);
        if (fd < 0 || syscall(SYS_finit_module, fd, "", 0))
            printf("guest: %s: %s\n", name, strerror(errno));
        close(fd);
    }
}

static int disk_by_serial(const char *serial, char path[64]) {
    glob_t g;
    int found = 0;
    if (glob("/sys/block/vd*/serial", 0, NULL, &g))
        return 0;
    for (size_t i = 0; i < g.gl_pathc && !found; i++) {
        char text[64] = "", name[16] = "";
        FILE *f = fopen(g.gl_pathv[i], "r");
        found = f && fgets(text, sizeof(text), f) && strncmp(text, serial, strlen(serial)) == 0 &&
                sscanf(g.gl_pathv[i], "/sys/block/%15[^/]", name) == 1;
        if (f)
            fclose(f);
        snprintf(path, 64, "/dev/%s", name);
    }
    globfree(&g);
    return found;
}

/* 8 MiB written with O_DIRECT, flushed, read back, then discarded. */
static int use_disk(const char *serial) {
    static char out[1 << 20] __attribute__((aligned(4096))), in[1 << 20] __attribute__((aligned(4096)));
    char path[64];
    if (!disk_by_serial(serial, path))
        return 0;
    int fd = open(path, O_RDWR | O_DIRECT | O_CLOEXEC);
    for (int i = 0; fd >= 0 && i < 8; i++) {
        memset(out, 'a' + i, sizeof(out));
        if (pwrite(fd, out, sizeof(out), (off_t) i << 20) != sizeof(out) || fsync(fd) ||
            pread(fd, in, sizeof(in), (off_t) i << 20) != sizeof(in) || memcmp(in, out, sizeof(in)) != 0)
            return 0;
    }
    uint64_t range[2] = {4 << 20, 4 << 20};
    return fd >= 0 && ioctl(fd, _IO(0x12, 119), range) == 0 && close(fd) == 0;
}

/* Enough requests at once to fill the VMM's pool of disk threads (64). */
static int load_disk(const char *serial) {
    static char out[1 << 16] __attribute__((aligned(4096)));
    char path[64];
    int good = disk_by_serial(serial, path), status;
    for (int child = 0; good && child < 80; child++) {
        if (fork() != 0)
            continue;
        int fd = open(path, O_RDWR | O_DIRECT | O_CLOEXEC);
        for (int i = 0; i < 8; i++) {
            if (pwrite(fd, out, sizeof(out), (off_t) (16 << 20) + ((child * 8 + i) << 16)) != sizeof(out) || fsync(fd))
                _exit(1);
        }
        _exit(0);
    }
    while (waitpid(-1, &status, 0) > 0)
        good = good && status == 0;
    return good;
}

static int use_network(void) {
    int s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    struct ifreq r = {.ifr_name = "eth0"};
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = inet_addr("172.16.0.2")};
    memcpy(&r.ifr_addr, &a, sizeof(a));
    if (ioctl(s, SIOCSIFADDR, &r) || ioctl(s, SIOCGIFFLAGS, &r))
        return 0;
    r.ifr_flags = (short) (r.ifr_flags | IFF_UP);
    if (ioctl(s, SIOCSIFFLAGS, &r))
        return 0;
    a.sin_addr.s_addr = inet_addr("172.16.0.1");
    a.sin_port = htons(9);
    for (int i = 0; i < 3; i++)
        (void) sendto(s, "hello", 5, 0, (struct sockaddr *) &a, sizeof(a));
    close(s);
    return 1;
}

static int open_port(void) {
    glob_t g;
    if (glob("/sys/class/virtio-ports/vport*/name", 0, NULL, &g))
        return -1;
    char name[32] = "", path[64];
    sscanf(g.gl_pathv[0], "/sys/class/virtio-ports/%31[^/]", name);
    snprintf(path, sizeof(path), "/dev/%s", name);
    globfree(&g);
    return open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
}

static int open_button(void) {
    for (int i = 0; i < 4; i++) {
        char path[32], name[64] = "";
        snprintf(path, sizeof(path), "/dev/input/event%d", i);
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd >= 0 && ioctl(fd, EVIOCGNAME(sizeof(name)), name) > 0 && strstr(name, "Power"))
            return fd;
        close(fd);
    }
    return -1;
}

static void off(const char *why) {
    printf("guest: off: %s\n", why);
    fflush(stdout);
    sync();
    reboot(RB_POWER_OFF);
}

/* Echoes lines; a closed host end reads as the end of the file, so it polls. The port is
 * nonblocking: a write to a host that has just left would hold up the button for good. */
static void serve(int port, int button) {
    for (;;) {
        char line[4096];
        struct pollfd p[] = {{.fd = port, .events = POLLIN}, {.fd = button, .events = POLLIN}};
        (void) poll(p, 2, 200);
        if (button >= 0 && (p[1].revents & POLLIN)) {
            struct input_event event;
            if (read(button, &event, sizeof(event)) > 0 && event.type == EV_KEY && event.code == KEY_POWER)
                off("power button");
        }
        if (!(p[0].revents & POLLIN))
            continue;
        ssize_t n = read(port, line, sizeof(line));
        if (n >= 3 && memcmp(line, "off", 3) == 0)
            off("asked");
        if (n >= 5 && memcmp(line, "flood", 5) == 0) {
            for (int i = 0; i < 3000; i++)
                printf("flood %06d ............................................................\n", i);
            fflush(stdout);
        }
        if (n <= 0)
            usleep(20000);
        else
            (void) !write(port, line, (size_t) n);
    }
}

int main(void) {
    mount("none", "/dev", "devtmpfs", 0, NULL);
    int console = open("/dev/console", O_RDWR);
    for (int i = 0; i < 3; i++)
        dup2(console, i);
    setvbuf(stdout, NULL, _IOLBF, 0);
    mkdir("/proc", 0755);
    mkdir("/sys", 0755);
    mount("none", "/proc", "proc", 0, NULL);
    mount("none", "/sys", "sysfs", 0, NULL);
    load_modules();
    struct utsname u;
    uname(&u);
    printf("guest: Linux %s cpus %ld\n", u.release, sysconf(_SC_NPROCESSORS_ONLN));
    for (int i = 0; i < 50 && access("/dev/vdb", F_OK); i++)
        usleep(20000);
    printf("guest: root disk %s\n", use_disk("root") ? "ok" : "failed");
    printf("guest: work disk %s\n", use_disk("work") ? "ok" : "failed");
    printf("guest: disk load %s\n", load_disk("work") ? "ok" : "failed");
    printf("guest: network %s\n", use_network() ? "ok" : "failed");
    char random[16];
    int rng = open("/dev/hwrng", O_RDONLY | O_CLOEXEC);
    printf("guest: rng %s\n", rng >= 0 && read(rng, random, sizeof(random)) > 0 ? "ok" : "failed");
    int port = open_port(), button = open_button();
    printf("guest: port %s, button %s\n", port >= 0 ? "ok" : "failed", button >= 0 ? "ok" : "failed");
    printf("guest: ready\n");
    (void) !write(port, "ready\n", 6);
    serve(port, button);
}
