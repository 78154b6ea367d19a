/* In place of Firecracker: opens by name what Firecracker opens by name, as it does, and
 * then tries to get out. Arguments: its tap, and another account's. Ends with 42 when
 * somebody has asked for it on its API's socket. */
#include "jail_try.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/kvm.h>
#include <linux/vm_sockets.h>
#include <net/if.h>
#include <poll.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

/* Firecracker's own sequence. */
static int open_tap(const char *name, int flags) {
    struct ifreq r = {.ifr_flags = (short) (IFF_TAP | IFF_NO_PI | IFF_VNET_HDR | flags)};
    int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC), size = 12;
    strncpy(r.ifr_name, name, IFNAMSIZ - 1);
    if (fd < 0)
        return -1;
    if (ioctl(fd, TUNSETIFF, &r) == 0 && ioctl(fd, TUNSETVNETHDRSZ, &size) == 0 &&
        ioctl(fd, TUNSETOFFLOAD, TUN_F_CSUM) == 0)
        return fd;
    int error = errno;
    close(fd);
    errno = error;
    return -1;
}

static void taps(const char *own, const char *foreign) {
    char frame[12 + 60] = {0};
    int fd = open_tap(own, 0);
    holds("opens its tap by name", fd >= 0);
    memset(frame + 12, 0xff, 6);
    struct iovec part = {frame, sizeof(frame)};
    struct pollfd p = {.fd = fd, .events = POLLOUT};
    holds("sends a frame", poll(&p, 1, 1000) == 1 && syscall(SYS_writev, fd, &part, 1) == (long) sizeof(frame));
    refused("cannot open it twice", open_tap(own, 0));
    refused("cannot open another account's tap", open_tap(foreign, 0));
    refused("cannot make a tap", open_tap("btnew", 0));
}

static void disk(const char *path) {
    char name[64], in[16] = "";
    struct stat st;
    int fd = open(path, O_RDWR | O_CLOEXEC);
    snprintf(name, sizeof(name), "uses %s", path);
    holds(name, fd >= 0 && lseek(fd, 0, SEEK_END) == 64 << 20 && pwrite(fd, "by name", 7, 4096) == 7 &&
                    fsync(fd) == 0 && pread(fd, in, 7, 4096) == 7 && strcmp(in, "by name") == 0 && fstat(fd, &st) == 0);
    snprintf(name, sizeof(name), "cannot remove %s", path);
    refused(name, unlink(path));
    snprintf(name, sizeof(name), "cannot replace %s", path);
    refused(name, rename("/vm/file", path));
}

static void kvm(void) {
    int fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);
    if (fd < 0 && errno == ENXIO)
        printf("ok probe: has a node for KVM, which this machine has not\n");
    else
        holds("opens /dev/kvm", fd >= 0 && ioctl(fd, KVM_GET_API_VERSION, 0) == KVM_API_VERSION);
}

static int unix_socket(const char *path, int (*use)(int, const struct sockaddr *, socklen_t)) {
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    size_t length = strlen(path);
    memcpy(a.sun_path, path, length);
    if (path[0] == '@')
        a.sun_path[0] = '\0';
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    socklen_t size = (socklen_t) (offsetof(struct sockaddr_un, sun_path) + length + (path[0] != '@'));
    if (fd >= 0 && use(fd, (struct sockaddr *) &a, size) == 0)
        return fd;
    int error = errno;
    close(fd);
    errno = error;
    return -1;
}

static int bind_call(int fd, const struct sockaddr *a, socklen_t size) {
    return bind(fd, a, size);
}
static int connect_call(int fd, const struct sockaddr *a, socklen_t size) {
    return connect(fd, a, size);
}

static int sockets(void) {
    struct stat st;
    int on = 1;
    int api = unix_socket("/vm/api.sock", bind_call);
    holds("makes its API's socket", api >= 0 && listen(api, 8) == 0 && ioctl(api, FIONBIO, &on) == 0);
    holds("nobody else can connect to it", stat("/vm/api.sock", &st) == 0 && (st.st_mode & 077) == 0);
    int guest = unix_socket("/vm/vsock.sock_52", bind_call);
    int listens = guest >= 0 && listen(guest, 8) == 0;
    int client = listens ? unix_socket("/vm/vsock.sock_52", connect_call) : -1;
    if (listens && client < 0 && errno == EPERM) {
        printf("ok probe: connects nowhere, as Landlock cannot close off abstract sockets here\n");
    } else {
        char in[8] = "";
        int server = accept4(guest, NULL, NULL, SOCK_CLOEXEC);
        holds("connects in its folder", client >= 0 && server >= 0 && send(client, "hi", 2, MSG_NOSIGNAL) == 2 &&
                                            recv(server, in, sizeof(in), 0) == 2);
    }
    holds("removes a socket", unlink("/vm/vsock.sock_52") == 0);
    refused("cannot connect to an abstract socket of the host", unix_socket("@banger-jail-test", connect_call));
    refused("cannot connect to the host's system bus", unix_socket("/run/dbus/system_bus_socket", connect_call));
    static const struct {
        const char *name;
        long domain;
        int type;
    } kinds[] = {
        {"cannot make an IPv6 socket", AF_INET6, SOCK_STREAM},
        {"cannot make a netlink socket", AF_NETLINK, SOCK_RAW},
        {"cannot make a packet socket", AF_PACKET, SOCK_RAW},
        {"cannot make a vsock socket", AF_VSOCK, SOCK_STREAM},
        {"cannot make a Unix datagram socket", AF_UNIX, SOCK_DGRAM},
        {"cannot make a Unix packet socket", AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK},
        {"cannot hide a family in the upper half", AF_INET | 1l << 32, SOCK_STREAM},
    };
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
        refused(kinds[i].name, syscall(SYS_socket, kinds[i].domain, kinds[i].type, 0));
    int pair[2];
    refused("cannot make a socket pair", socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
    struct ifreq r = {.ifr_name = "lo"};
    refused("cannot change the host's interfaces", ioctl(guest, SIOCSIFFLAGS, &r));
    return api;
}

/* The host's answer is the end. */
static void serve(int api) {
    char in[16] = "";
    struct pollfd p = {.fd = api, .events = POLLIN};
    int fd = poll(&p, 1, 20000) == 1 ? accept4(api, NULL, NULL, SOCK_CLOEXEC) : -1;
    holds("the host reaches its API", fd >= 0 && recv(fd, in, sizeof(in), 0) > 0 && send(fd, "bye", 3, 0) == 3);
}

int main(int argc, char **argv) {
    int declared;
    setvbuf(stdout, NULL, _IOLBF, 0);
    holds("has no descriptor but the first three", strangers(3, 3, &declared) + declared == 0);
    if (argc != 3)
        return 1;
    try_place();
    try_limits();
    taps(argv[1], argv[2]);
    disk("/root.ext4");
    disk("/work.ext4");
    kvm();
    holds("makes a memfd", memfd_create("net", MFD_CLOEXEC) >= 0);
    int api = sockets();
    try_files();
    try_calls();
    holds("waits for the host", 1);
    serve(api);
    return 42;
}
