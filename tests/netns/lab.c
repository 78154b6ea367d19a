#include "lab.h"

#include "../../common/fdpass.h"
#include "../../common/io.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define VNET    12
#define WAIT_MS 250

static const uint8_t broadcast[6] = {255, 255, 255, 255, 255, 255};

int lab_try(const char *format, ...) {
    char command[2048];
    va_list args;
    va_start(args, format);
    (void) vsnprintf(command, sizeof(command), format, args);
    va_end(args);
    return system(command) == 0;
}

void lab_sh(const char *format, ...) {
    char command[2048];
    va_list args;
    va_start(args, format);
    (void) vsnprintf(command, sizeof(command), format, args);
    va_end(args);
    if (system(command) != 0) {
        fprintf(stderr, "the lab's own command failed: %s\n", command);
        exit(2);
    }
}

void lab_policy(const char *text) {
    int fd = open("/etc/banger/policy.conf", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t) strlen(text))
        exit(2);
    close(fd);
}

struct lab_helper lab_start(const char *path, uid_t uid, int group, void (*prepare)(void)) {
    int net[2], disk[2], vmm[2], errors[2];
    gid_t gid = LAB_GROUP;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, net) ||
        socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, disk) ||
        socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, vmm) || pipe2(errors, O_CLOEXEC))
        exit(2);
    pid_t pid = fork();
    if (pid == 0) {
        int from[] = {fcntl(errors[1], F_DUPFD_CLOEXEC, 100), fcntl(net[1], F_DUPFD_CLOEXEC, 100),
                      fcntl(disk[1], F_DUPFD_CLOEXEC, 100), fcntl(vmm[1], F_DUPFD_CLOEXEC, 100)};
        dup2(from[0], 2);
        dup2(from[1], WIRE_FD_FIRST + WIRE_NET);
        dup2(from[2], WIRE_FD_FIRST + WIRE_DISK);
        dup2(from[3], WIRE_FD_FIRST + WIRE_VMM);
        if (setgroups(group ? 1 : 0, &gid) || setresgid(uid, uid, uid) || setresuid(uid, uid, uid))
            _exit(2);
        if (prepare)
            prepare();
        execl(path, "banger-helper", (char *) NULL);
        perror(path);
        _exit(2);
    }
    close(net[1]);
    close(disk[1]);
    close(vmm[1]);
    close(errors[1]);
    return (struct lab_helper){.pid = pid, .net = net[0], .disk = disk[0], .vmm = vmm[0], .errors = errors[0]};
}

void lab_end(struct lab_helper *h) {
    close(h->net);
    close(h->disk);
    close(h->vmm);
    waitpid(h->pid, NULL, 0);
    close(h->errors);
    h->pid = -1;
}

void lab_errors(struct lab_helper *h, char *text, size_t size) {
    ssize_t n = io_read_some(h->errors, text, size - 1);
    text[n > 0 ? n : 0] = '\0';
    lab_end(h);
}

int lab_call(struct lab_helper *h, uint32_t op, uint32_t slot, uint32_t kind, struct wire_reply *reply, int *fd) {
    struct wire_request rq = {.op = op, .slot = slot, .kind = kind};
    return lab_send(h, &rq, reply, fd);
}

int lab_send(struct lab_helper *h, struct wire_request *rq, struct wire_reply *reply, int *fd) {
    size_t count = 0;
    int got = -1;
    rq->version = WIRE_VERSION;
    rq->size = sizeof(*rq);
    rq->op_id = 7;
    int r = fdpass_send(h->net, rq, sizeof(*rq), NULL, 0);
    if (!r)
        r = io_wait(h->net, POLLIN, 60000);
    if (!r) {
        ssize_t n = fdpass_recv(h->net, reply, sizeof(*reply), &got, 1, &count);
        r = n == (ssize_t) sizeof(*reply) ? 0 : n < 0 ? (int) n : -EPIPE;
    }
    if (fd)
        *fd = got;
    else if (got >= 0)
        close(got);
    return r;
}

int lab_attach(uid_t uid, const char *tap) {
    struct ifreq want = {.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR};
    int header = VNET;
    (void) snprintf(want.ifr_name, sizeof(want.ifr_name), "%s", tap);
    int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0 || seteuid(uid)) /* which also takes the capabilities from effect */
        exit(2);
    int r = ioctl(fd, TUNSETIFF, &want) || ioctl(fd, TUNSETVNETHDRSZ, &header) ? -errno : 0;
    if (seteuid(0))
        exit(2);
    if (r)
        close(fd);
    return r ? r : fd;
}

struct guest lab_up(struct lab_helper *h, uid_t uid, uint32_t slot) {
    return lab_up_kind(h, uid, slot, WIRE_TAP_FD);
}

struct guest lab_up_kind(struct lab_helper *h, uid_t uid, uint32_t slot, uint32_t kind) {
    struct guest g = {.fd = -1};
    struct wire_reply reply;
    char tap[IFNAME_SIZE];
    if (lab_call(h, WIRE_NET_UP, slot, kind, &reply, &g.fd) || reply.verdict != WIRE_DONE)
        return g;
    addr_tap_name(tap, uid, slot);
    if ((kind & WIRE_TAP_NAMED) && g.fd < 0) /* it answers without a descriptor */
        g.fd = lab_attach(uid, tap);
    if (g.fd < 0)
        return g;
    fcntl(g.fd, F_SETFL, O_RDWR | O_NONBLOCK);
    g.address = addr_guest(reply.subnet, slot);
    g.gateway = addr_gateway(reply.subnet);
    addr_mac(g.mac, uid, slot);
    addr_mac(g.gateway_mac, uid, 0xffff);
    return g;
}

static uint16_t checksum(const uint8_t *p, size_t size) {
    uint32_t sum = 0;
    for (size_t i = 0; i + 1 < size; i += 2)
        sum += (uint32_t) (p[i] << 8 | p[i + 1]);
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t) ~sum;
}

static void put16(uint8_t *p, uint16_t v) {
    p[0] = (uint8_t) (v >> 8);
    p[1] = (uint8_t) v;
}
static void put32(uint8_t *p, uint32_t v) {
    put16(p, (uint16_t) (v >> 16));
    put16(p + 2, (uint16_t) v);
}
static uint32_t get32(const uint8_t *p) {
    return (uint32_t) p[0] << 24 | (uint32_t) p[1] << 16 | (uint32_t) p[2] << 8 | p[3];
}

struct frame frame_ether(const uint8_t *to, const uint8_t *mac, uint16_t type, const void *data, size_t size) {
    struct frame f = {.size = 14 + size};
    memcpy(f.bytes, to ? to : broadcast, 6);
    memcpy(f.bytes + 6, mac, 6);
    put16(f.bytes + 12, type);
    memcpy(f.bytes + 14, data, size);
    if (f.size < 60)
        f.size = 60;
    return f;
}

struct frame frame_icmp(const uint8_t *to_mac, const uint8_t *mac, uint32_t from, uint32_t to) {
    static uint16_t sequence;
    uint8_t p[20 + 8 + 32] = {0x45, 0, 0, sizeof(p), 0, 0, 0, 0, 64, 1};
    put32(p + 12, from);
    put32(p + 16, to);
    put16(p + 10, checksum(p, 20));
    p[20] = 8;
    put16(p + 24, 0xba);
    put16(p + 26, ++sequence);
    put16(p + 22, checksum(p + 20, sizeof(p) - 20));
    return frame_ether(to_mac, mac, 0x0800, p, sizeof(p));
}

void frame_checksum(struct frame *f, size_t ip) {
    uint8_t *icmp = f->bytes + ip + 20;
    put16(icmp + 2, 0);
    put16(icmp + 2, checksum(icmp, 40));
}

static struct frame arp(uint16_t op, const uint8_t *to, const uint8_t *mac, const uint8_t *sender_mac, uint32_t sender,
                        uint32_t target) {
    uint8_t p[28] = {0, 1, 8, 0, 6, 4};
    put16(p + 6, op);
    memcpy(p + 8, sender_mac, 6);
    put32(p + 14, sender);
    if (to)
        memcpy(p + 18, to, 6);
    put32(p + 24, target);
    return frame_ether(to, mac, 0x0806, p, sizeof(p));
}

struct frame frame_arp(const uint8_t *mac, const uint8_t *sender_mac, uint32_t sender, uint32_t target) {
    return arp(1, NULL, mac, sender_mac, sender, target);
}

struct frame frame_vlan(const struct frame *f) {
    struct frame tagged = {.size = f->size + 4};
    memcpy(tagged.bytes, f->bytes, 12);
    put16(tagged.bytes + 12, 0x8100);
    put16(tagged.bytes + 14, 5);
    memcpy(tagged.bytes + 16, f->bytes + 12, f->size - 12);
    return tagged;
}

void guest_send(const struct guest *g, const struct frame *f) {
    uint8_t out[VNET + sizeof(f->bytes)] = {0};
    memcpy(out + VNET, f->bytes, f->size);
    if (write(g->fd, out, VNET + f->size) < 0)
        perror("write to a tap");
}

/* One frame for the guest before `until`, its size, or 0. */
static size_t guest_read(const struct guest *g, uint8_t *frame, size_t size, long long until) {
    uint8_t in[4096];
    long long left = until - io_now_ms();
    if (left <= 0 || io_wait(g->fd, POLLIN, (int) left))
        return 0;
    ssize_t n = read(g->fd, in, sizeof(in));
    if (n <= VNET)
        return 0;
    size_t length = (size_t) n - VNET;
    if (length > size)
        length = size;
    memcpy(frame, in + VNET, length);
    return length;
}

/* A guest's kernel answers ARP for its own address. */
static void answer_arp(const struct guest *g, const uint8_t *f, size_t size) {
    if (size >= 42 && f[12] == 8 && f[13] == 6 && f[21] == 1 && get32(f + 38) == g->address) {
        struct frame reply = arp(2, f + 22, g->mac, g->mac, g->address, get32(f + 28));
        guest_send(g, &reply);
    }
}

size_t guest_next(const struct guest *g, uint8_t *frame, size_t size) {
    size_t n = guest_read(g, frame, size, io_now_ms() + 1);
    answer_arp(g, frame, n);
    return n;
}

int guest_gets(const struct guest *g, const struct frame *f) {
    long long until = io_now_ms() + WAIT_MS;
    uint8_t in[2048];
    size_t n;
    while ((n = guest_read(g, in, sizeof(in), until)) > 0) {
        if (n == f->size && memcmp(in, f->bytes, n) == 0)
            return 1;
    }
    return 0;
}

int guest_pinged(const struct guest *g, uint32_t from) {
    long long until = io_now_ms() + 2 * WAIT_MS;
    uint8_t in[2048];
    size_t n;
    while ((n = guest_read(g, in, sizeof(in), until)) > 0) {
        answer_arp(g, in, n);
        if (n >= 42 && in[12] == 8 && in[13] == 0 && in[23] == 1 && in[34] == 0 && get32(in + 26) == from)
            return 1;
    }
    return 0;
}

/* A port that is just up may lose the first frames: asked again, as guests do. */
int guest_resolve(struct guest *g) {
    struct frame ask = frame_arp(g->mac, g->mac, g->address, g->gateway);
    uint8_t in[2048];
    size_t n;
    for (int try = 0; try < 40; try++) {
        long long until = io_now_ms() + 50;
        guest_send(g, &ask);
        while ((n = guest_read(g, in, sizeof(in), until)) > 0) {
            if (n >= 42 && in[12] == 8 && in[13] == 6 && in[21] == 2 && get32(in + 28) == g->gateway)
                return memcmp(g->gateway_mac, in + 22, 6) == 0;
        }
    }
    return 0;
}

int guest_arped(const struct guest *g, const struct frame *f, uint32_t address) {
    long long until = io_now_ms() + WAIT_MS;
    uint8_t in[2048];
    size_t n;
    guest_send(g, f);
    while ((n = guest_read(g, in, sizeof(in), until)) > 0) {
        if (n >= 42 && in[12] == 8 && in[13] == 6 && in[21] == 2 && get32(in + 28) == address)
            return 1;
    }
    return 0;
}

/* Without a UDP checksum, which is optional in IPv4. */
struct frame frame_udp(const struct guest *g, uint32_t to, uint16_t to_port, uint16_t from_port) {
    uint8_t p[20 + 8 + 32] = {0x45, 0, 0, sizeof(p), 0, 0, 0, 0, 64, 17};
    put32(p + 12, g->address);
    put32(p + 16, to);
    put16(p + 10, checksum(p, 20));
    put16(p + 20, from_port);
    put16(p + 22, to_port);
    put16(p + 24, sizeof(p) - 20);
    return frame_ether(g->gateway_mac, g->mac, 0x0800, p, sizeof(p));
}

int guest_hears(const struct guest *g, const char *text) {
    long long until = io_now_ms() + 2 * WAIT_MS;
    uint8_t in[2048];
    size_t n;
    while ((n = guest_read(g, in, sizeof(in), until)) > 0) {
        answer_arp(g, in, n);
        if (n >= 42 + strlen(text) && in[12] == 8 && in[13] == 0 && in[23] == 17 &&
            memcmp(in + 42, text, strlen(text)) == 0)
            return 1;
    }
    return 0;
}
