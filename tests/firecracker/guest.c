/* QEMU in place of the part of Firecracker that runs a guest. In the jail nothing can be
 * executed but this program and the dynamic loader, so the loader is told to run it; and
 * there is no socketpair(2). */
#include "fake.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <x86intrin.h>

#define LOADER "/lib64/ld-linux-x86-64.so.2"
#define QEMU   "/usr/bin/qemu-system-x86_64"

char folder[256];
static int qmp = -1;
static char heard[65536];
static size_t heard_size;

static char *words[96];
static int count;

static void word(const char *what, ...) __attribute__((format(printf, 1, 2)));
static void word(const char *what, ...) {
    va_list list;
    va_start(list, what);
    if (count > 94 || vasprintf(&words[count++], what, list) < 0)
        abort();
    va_end(list);
}

int make_pair(int ends[2]) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    (void) snprintf(address.sun_path, sizeof(address.sun_path), "%.90s/pair", folder);
    int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ends[0] = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int failed = bind(listener, (struct sockaddr *) &address, sizeof(address)) || listen(listener, 1) ||
                 connect(ends[0], (struct sockaddr *) &address, sizeof(address));
    ends[1] = failed ? -1 : accept4(listener, NULL, NULL, 0); /* for QEMU: inherited */
    (void) unlink(address.sun_path);
    (void) close(listener);
    return ends[1] < 0 ? -1 : 0;
}

/* Of the host, which is the guest's under emulation: without it its calibration may fail. */
static unsigned long tsc_khz(void) {
    long long start = now_ms();
    unsigned long long before = __rdtsc();
    (void) usleep(50000);
    return (unsigned long) ((__rdtsc() - before) / (unsigned long long) (now_ms() - start));
}

static void machine(void) {
    word("qemu");
    word("-name");
    word("fake-%s", guest.id);
    word("-L");
    word("/usr/share/qemu");
    word("-M");
    word("microvm,rtc=on,memory-backend=m0");
    word("-object");
    word("memory-backend-memfd,id=m0,size=%dM,share=on", guest.memory);
    word("-accel");
    word("tcg,thread=multi,tb-size=64");
    word("-cpu");
    word("max,la57=off");
    word("-m");
    word("%d", guest.memory);
    word("-smp");
    word("%d", guest.vcpus);
    word("-nodefaults");
    word("-no-user-config");
    word("-display");
    word("none");
    word("-action");
    word("reboot=shutdown,shutdown=pause"); /* a power-off is none: only a reset ends the process */
    word("-global");
    word("virtio-mmio.force-legacy=false");
    word("-kernel");
    word("%s", guest.kernel);
    if (guest.initrd[0]) {
        word("-initrd");
        word("%s", guest.initrd);
    }
    word("-append");
    word("%s norandmaps tsc_early_khz=%lu", guest.args, tsc_khz());
    word("-device");
    word("i8042");
    word("-chardev");
    word("stdio,id=console,signal=off");
    word("-serial");
    word("chardev:console");
}

/* In Firecracker's order, which is the guest's: it finds the microvm's slots from the last
 * to the first. A drive's serial is what stat(2) says of its file. */
static void devices(int control, int vsock) {
    int bus = 15;
    for (int i = 0; i < guest.drive_count; i++) {
        struct stat st = {0};
        (void) stat(guest.drives[i].path, &st);
        word("-blockdev");
        word("driver=%s,node-name=d%d,filename=%s,locking=off,read-only=%s",
             S_ISBLK(st.st_mode) ? "host_device" : "file", i, guest.drives[i].path,
             guest.drives[i].read_only ? "on" : "off");
        word("-device");
        word("virtio-blk-device,drive=d%d,bus=virtio-mmio-bus.%d,serial=%llu", i, bus--,
             (unsigned long long) st.st_ino);
    }
    for (int i = 0; i < guest.net_count; i++) {
        word("-netdev");
        word("tap,id=n%d,fd=%d,vhost=off", i, guest.nets[i].tap);
        word("-device");
        word("virtio-net-device,netdev=n%d,bus=virtio-mmio-bus.%d%s%s", i, bus--, guest.nets[i].mac[0] ? ",mac=" : "",
             guest.nets[i].mac);
        (void) fcntl(guest.nets[i].tap, F_SETFD, 0);
    }
    if (guest.vsock) {
        word("-chardev");
        word("socket,id=vsock,fd=%d", vsock);
        word("-device");
        /* QEMU would offer the guest these two whatever the device says. */
        word("vhost-user-vsock-device,chardev=vsock,bus=virtio-mmio-bus.%d,indirect_desc=off,event_idx=off", bus--);
    }
    if (guest.entropy) {
        word("-device");
        word("virtio-rng-device,bus=virtio-mmio-bus.%d", bus--);
    }
    word("-chardev");
    word("socket,id=qmp,fd=%d", control);
    word("-mon");
    word("chardev=qmp,mode=control");
}

static void run(void) {
    char *argv[100] = {(char *) LOADER, (char *) QEMU};
    /* Where there is a /proc it would look beside the loader. */
    char *environment[] = {(char *) "MALLOC_ARENA_MAX=2", (char *) "QEMU_MODULE_DIR=/usr/lib/x86_64-linux-gnu/qemu",
                           NULL};
    (void) prctl(PR_SET_PDEATHSIG, SIGKILL);
    (void) signal(SIGPIPE, SIG_DFL);
    for (int i = 1; i < count; i++)
        argv[i + 1] = words[i];
    (void) execve(LOADER, argv, environment);
    (void) fprintf(stderr, "cannot run QEMU: %s\n", strerror(errno));
    _exit(127);
}

/* Waits for QEMU's word, or its vhost-user's, without which it says none. */
static int hears(void) {
    struct pollfd list[16] = {{.fd = qmp, .events = POLLIN}};
    size_t all = 1 + vhost_poll(list + 1);
    (void) poll(list, all, 1000);
    vhost_turn(list + 1);
    return list[0].revents != 0;
}

/* What QEMU answers to one line, its events on the way; NULL or what went wrong. */
static const char *converse(const char *json) {
    long long end = now_ms() + 20000;
    if (json && send(qmp, json, strlen(json), MSG_NOSIGNAL) < 0)
        return "QEMU does not listen";
    while (now_ms() < end) {
        heard[heard_size] = '\0';
        const char *word_found = json ? "\"return\"" : "\"QMP\"";
        char *line = strstr(heard, word_found), *stop = line ? strchr(line, '\n') : NULL;
        if (stop) {
            heard_size -= (size_t) (stop + 1 - heard);
            memmove(heard, stop + 1, heard_size);
            return NULL;
        }
        if (strstr(heard, "\"error\""))
            return "QEMU refuses";
        if (!hears())
            continue;
        ssize_t n = recv(qmp, heard + heard_size, sizeof(heard) - 1 - heard_size, 0);
        if (n <= 0)
            return "QEMU is gone";
        heard_size += (size_t) n;
    }
    return "QEMU does not answer";
}

const char *guest_start(void) {
    int control[2], vsock[2] = {-1, -1};
    if (make_pair(control) || (guest.vsock && make_pair(vsock)))
        return "cannot make sockets for QEMU";
    machine();
    devices(control[1], vsock[1]);
    pid_t child = fork();
    if (child == 0)
        run();
    (void) close(control[1]);
    (void) close(vsock[1]);
    qmp = control[0];
    if (child < 0)
        return "cannot fork";
    if (guest.vsock)
        vhost_open(vsock[0]);
    guest.state = RUNNING;
    return NULL;
}

/* The greeting comes when QEMU is set up; until then it speaks vhost-user, which is not to be kept waiting. */
static int greeted;

const char *guest_command(const char *json) {
    for (long long end = now_ms() + 20000; !greeted && now_ms() < end;) {
        struct pollfd list[1];
        (void) guest_poll(list);
        list[0].revents = hears() ? POLLIN : 0;
        guest_turn(list);
    }
    return greeted ? converse(json) : "QEMU does not start";
}

size_t guest_poll(struct pollfd *list) {
    list[0] = (struct pollfd){.fd = qmp, .events = POLLIN};
    return 1;
}

/* Whether it said that the guest has reset itself, which ends Firecracker too. */
void guest_turn(const struct pollfd *list) {
    if (qmp < 0 || !list[0].revents)
        return;
    ssize_t n = recv(qmp, heard + heard_size, sizeof(heard) - 1 - heard_size, MSG_DONTWAIT);
    if (n == 0)
        exit(greeted ? 0 : 1);
    if (n < 0)
        return;
    heard_size += (size_t) n;
    heard[heard_size] = '\0';
    if (!greeted && strstr(heard, "\"QMP\"") && strchr(heard, '\n')) {
        greeted = 1;
        heard_size = 0;
        (void) converse("{\"execute\":\"qmp_capabilities\"}\n");
        heard[heard_size] = '\0';
    }
    if (strstr(heard, "\"guest-reset\"")) {
        fake_log("Info", "Firecracker exiting successfully. exit_code=0");
        exit(0);
    }
    char *last = strrchr(heard, '\n');
    if (last) {
        heard_size -= (size_t) (last + 1 - heard);
        memmove(heard, last + 1, heard_size);
    }
}
