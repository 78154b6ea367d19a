/* vhost-user, the device's end: QEMU says where the guest's memory and the two rings are. */
#include "fake.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/vhost_types.h>
#include <linux/virtio_ring.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#define REGIONS_MAX 8
#define F_PROTOCOL  (1ull << 30)
#define F_VERSION_1 (1ull << 32)
#define P_CONFIG    (1ull << 9)

enum {
    GET_FEATURES = 1,
    SET_FEATURES,
    SET_OWNER,
    RESET_OWNER,
    SET_MEM_TABLE,
    SET_LOG_BASE,
    SET_LOG_FD,
    SET_VRING_NUM,
    SET_VRING_ADDR,
    SET_VRING_BASE,
    GET_VRING_BASE,
    SET_VRING_KICK,
    SET_VRING_CALL,
    SET_VRING_ERR,
    GET_PROTOCOL_FEATURES,
    SET_PROTOCOL_FEATURES,
    GET_QUEUE_NUM,
    SET_VRING_ENABLE,
    GET_CONFIG = 24,
};

struct region {
    uint64_t guest, size, user, offset;
};
struct message {
    uint32_t request, flags, size;
    union {
        uint64_t number;
        struct vhost_vring_state state;
        struct vhost_vring_addr address;
        struct {
            uint32_t count, padding;
            struct region regions[REGIONS_MAX];
        } memory;
        struct {
            uint32_t offset, size, flags;
            uint8_t bytes[256];
        } config;
    };
} __attribute__((packed));

static int sock = -1;
static struct {
    struct region at;
    uint8_t *map;
} regions[REGIONS_MAX];
static int region_count;

enum { RECEIVE, TRANSMIT, RINGS }; /* as the guest sees it */
static struct ring {
    unsigned size;
    struct vhost_vring_addr at; /* in QEMU's own memory */
    struct vring_desc *table;
    struct vring_avail *avail;
    struct vring_used *used;
    uint16_t next;
    int kick, call;
} rings[RINGS] = {{.kick = -1, .call = -1}, {.kick = -1, .call = -1}};

/* --- the guest's memory ------------------------------------------------------------------ */

static void *from_user(uint64_t address) {
    for (int i = 0; i < region_count; i++)
        if (address >= regions[i].at.user && address - regions[i].at.user < regions[i].at.size)
            return regions[i].map + regions[i].at.offset + (address - regions[i].at.user);
    return NULL;
}

static void *from_guest(uint64_t address, uint64_t size) {
    for (int i = 0; i < region_count; i++)
        if (address >= regions[i].at.guest && address - regions[i].at.guest + size <= regions[i].at.size)
            return regions[i].map + regions[i].at.offset + (address - regions[i].at.guest);
    return NULL;
}

static void place(struct ring *r) {
    r->table = from_user(r->at.desc_user_addr);
    r->avail = from_user(r->at.avail_user_addr);
    r->used = from_user(r->at.used_user_addr);
}

static void set_memory(const struct message *m, const int *fds, int fd_count) {
    for (int i = 0; i < region_count; i++)
        (void) munmap(regions[i].map, regions[i].at.size + regions[i].at.offset);
    region_count = 0;
    for (uint32_t i = 0; i < m->memory.count && i < (uint32_t) fd_count; i++) {
        size_t size = m->memory.regions[i].size + m->memory.regions[i].offset;
        void *map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fds[i], 0);
        if (map == MAP_FAILED) {
            perror("mmap of the guest's memory");
            exit(2);
        }
        regions[region_count].at = m->memory.regions[i];
        regions[region_count++].map = map;
    }
    for (int i = 0; i < RINGS; i++)
        place(&rings[i]);
}

/* --- rings --------------------------------------------------------------------------------- */

static int ready(const struct ring *r) {
    return r->table && r->avail && r->used && r->kick >= 0 && r->size;
}

static int waiting(const struct ring *r) {
    return ready(r) && __atomic_load_n(&r->avail->idx, __ATOMIC_ACQUIRE) != r->next;
}

/* Copies between a chain of descriptors and `bytes`; the count. */
static size_t chain(const struct ring *r, uint16_t head, uint8_t *bytes, size_t size, int to_guest) {
    size_t done = 0;
    for (unsigned i = head, steps = 0; steps < r->size; steps++) {
        const struct vring_desc *d = &r->table[i % r->size];
        uint8_t *at = from_guest(d->addr, d->len);
        size_t part = d->len < size - done ? d->len : size - done;
        if (!at)
            break;
        if (to_guest && !(d->flags & VRING_DESC_F_WRITE))
            break;
        if (to_guest && bytes)
            memcpy(at, bytes + done, part);
        else if (bytes)
            memcpy(bytes + done, at, part);
        done += part;
        if (!(d->flags & VRING_DESC_F_NEXT))
            break;
        i = d->next;
    }
    return done;
}

static void finish(struct ring *r, uint16_t head, size_t size) {
    uint16_t used = r->used->idx;
    r->used->ring[used % r->size] = (struct vring_used_elem){.id = head, .len = (uint32_t) size};
    __atomic_store_n(&r->used->idx, (uint16_t) (used + 1), __ATOMIC_RELEASE);
    r->next++;
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    const uint64_t one = 1;
    if (!(r->avail->flags & VRING_AVAIL_F_NO_INTERRUPT))
        (void) !write(r->call, &one, sizeof(one));
}

static uint16_t head_of(const struct ring *r) {
    return r->avail->ring[r->next % r->size];
}

int vhost_can_send(void) {
    return waiting(&rings[RECEIVE]);
}

size_t vhost_room(void) {
    const struct ring *r = &rings[RECEIVE];
    return waiting(r) ? chain(r, head_of(r), NULL, 65536, 1) : 0;
}

void vhost_send(const void *head, size_t head_size, const void *data, size_t size) {
    static uint8_t packet[70000];
    struct ring *r = &rings[RECEIVE];
    memcpy(packet, head, head_size);
    if (size)
        memcpy(packet + head_size, data, size);
    uint16_t at = head_of(r);
    finish(r, at, chain(r, at, packet, head_size + size, 1));
}

static void take_packets(void) {
    static uint8_t packet[70000];
    struct ring *r = &rings[TRANSMIT];
    while (waiting(r)) {
        uint16_t at = head_of(r);
        size_t size = chain(r, at, packet, sizeof(packet), 0);
        finish(r, at, 0);
        vsock_packet(packet, size);
    }
    vsock_pump();
}

/* --- the protocol ---------------------------------------------------------------------------- */

static void answer(struct message *m, uint32_t size) {
    m->flags = 1 | 4;
    m->size = size;
    (void) send(sock, m, 12 + size, MSG_NOSIGNAL);
}

static void set_fd(int *to, const struct message *m, const int *fds, int count) {
    if (*to >= 0)
        (void) close(*to);
    *to = !(m->number & 256) && count > 0 ? dup(fds[0]) : -1;
    if (*to >= 0)
        (void) fcntl(*to, F_SETFL, O_NONBLOCK);
}

static void handle(struct message *m, const int *fds, int count) {
    struct ring *r = &rings[m->state.index % RINGS];
    switch (m->request) {
    case GET_FEATURES:
        m->number = F_VERSION_1 | F_PROTOCOL;
        answer(m, 8);
        break;
    case GET_PROTOCOL_FEATURES:
        m->number = P_CONFIG;
        answer(m, 8);
        break;
    case GET_CONFIG: {
        uint64_t cid = vsock_cid();
        memset(m->config.bytes, 0, sizeof(m->config.bytes));
        memcpy(m->config.bytes, &cid, sizeof(cid));
        answer(m, m->size);
        break;
    }
    case SET_MEM_TABLE:
        set_memory(m, fds, count);
        break;
    case SET_VRING_NUM:
        r->size = m->state.num;
        break;
    case SET_VRING_BASE:
        r->next = (uint16_t) m->state.num;
        break;
    case SET_VRING_ADDR:
        r = &rings[m->address.index % RINGS];
        r->at = m->address;
        place(r);
        break;
    case GET_VRING_BASE:
        m->state.num = r->next;
        r->at = (struct vhost_vring_addr){0};
        r->table = NULL;
        answer(m, 8);
        break;
    case SET_VRING_KICK:
        set_fd(&rings[m->number & (RINGS - 1)].kick, m, fds, count);
        break;
    case SET_VRING_CALL:
        set_fd(&rings[m->number & (RINGS - 1)].call, m, fds, count);
        break;
    default: /* nothing to do for this device */
        break;
    }
}

static void receive(void) {
    struct message m;
    int fds[REGIONS_MAX], count = 0;
    char control[CMSG_SPACE(sizeof(fds))];
    struct iovec part = {&m, 12};
    struct msghdr head = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control)};
    ssize_t n = recvmsg(sock, &head, MSG_CMSG_CLOEXEC | MSG_WAITALL);
    if (n != 12 || m.size > sizeof(m) - 12 || (m.size && recv(sock, (char *) &m + 12, m.size, MSG_WAITALL) != m.size)) {
        (void) close(sock);
        sock = -1;
        return;
    }
    for (struct cmsghdr *c = CMSG_FIRSTHDR(&head); c; c = CMSG_NXTHDR(&head, c)) {
        count = (int) ((c->cmsg_len - CMSG_LEN(0)) / sizeof(int));
        memcpy(fds, CMSG_DATA(c), (size_t) count * sizeof(int));
    }
    handle(&m, fds, count);
    for (int i = 0; i < count; i++)
        (void) close(fds[i]);
}

void vhost_open(int to) {
    sock = to;
}

size_t vhost_poll(struct pollfd *list) {
    list[0] = (struct pollfd){.fd = sock, .events = POLLIN};
    for (int i = 0; i < RINGS; i++)
        list[1 + i] = (struct pollfd){.fd = rings[i].kick, .events = POLLIN};
    return 1 + RINGS;
}

void vhost_turn(const struct pollfd *list) {
    uint64_t ignored;
    for (int i = 0; i < RINGS; i++)
        if (list[1 + i].revents && rings[i].kick == list[1 + i].fd)
            (void) !read(rings[i].kick, &ignored, sizeof(ignored));
    if (ready(&rings[TRANSMIT]))
        take_packets();
    if (list[0].revents && sock >= 0)
        receive();
}
