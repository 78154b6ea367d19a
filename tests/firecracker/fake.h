/* A server in Firecracker's place. It takes the command line and the API that Firecracker
 * 1.16 has (firecracker.yaml beside this; what its source does beyond that is in the
 * comments here) and refuses what Firecracker refuses; behind it QEMU runs a real guest,
 * without KVM, whose vsock device is made here too (vhost.c, vsock.c).
 *
 * FAKE_BEHAVIOUR is a file of lines "WORD VALUE", read before each reply, with which a test
 * has it misbehave (struct behaviour). */
#ifndef BANGER_TESTS_FIRECRACKER_FAKE_H
#define BANGER_TESTS_FIRECRACKER_FAKE_H

#include <cjson/cJSON.h>
#include <poll.h>
#include <stddef.h>
#include <stdint.h>

#define FAKE_BEHAVIOUR "/etc/banger-test/behaviour"

struct behaviour {
    char version[32]; /* what GET /version says */
    char at[64];      /* the path that the following is about; "" all */
    int delay;        /* ms before a reply */
    int split;        /* bytes of a reply that go out at once */
    int cut;          /* bytes of a reply after which the connection is closed; -1 none */
    int refuse;       /* 1: 400 with fault_message; 2: with the other kind of body; 3: 503; 4: nonsense; 5: die */
};
void behaviour_read(struct behaviour *b);

struct reply {
    int status;
    char text[16384]; /* the body, JSON */
};
/* `what` as fault_message. */
void reply_fault(struct reply *reply, const char *what, ...) __attribute__((format(printf, 2, 3)));

/* http.c: the API's connections. */
void http_listen(const char *path); /* ends the process where it cannot */
size_t http_poll(struct pollfd *list);
void http_turn(const struct pollfd *list);

/* check.c: 1 when the body fits what firecracker.yaml says of it; else 0 and the reply is set. */
int check_body(const char *method, const char *path, const cJSON *body, struct reply *reply);
/* The path as firecracker.yaml has it ("/drives/{drive_id}"), and its last part in `id`; NULL: none. */
const char *check_path(const char *method, const char *path, const char **id);

/* api.c: what a request does. */
void api_call(const char *method, const char *path, const cJSON *body, struct reply *reply);

/* guest.c: QEMU. */
struct guest {
    char id[65];
    char kernel[256], initrd[256], args[2048];
    int vcpus, memory;
    struct {
        char id[64], path[256];
        int read_only;
    } drives[8];
    int drive_count;
    struct {
        char id[64], mac[18];
        int tap;
    } nets[4];
    int net_count;
    int entropy, vsock;
    enum { NOT_STARTED, RUNNING, PAUSED } state;
};
extern struct guest guest;
/* NULL, or what went wrong. */
const char *guest_start(void);
const char *guest_command(const char *json); /* QMP */
size_t guest_poll(struct pollfd *list);
void guest_turn(const struct pollfd *list);
/* Two connected stream sockets: socketpair(2) is not for a VMM in the jail. */
int make_pair(int ends[2]);
extern char folder[256]; /* of the API's socket */

/* vhost.c: the device's end of vhost-user (QEMU's docs/interop/vhost-user.rst). */
void vhost_open(int sock);
size_t vhost_poll(struct pollfd *list);
void vhost_turn(const struct pollfd *list);
/* 1 when there is a buffer of the guest's to receive in. */
int vhost_can_send(void);
/* Gives the guest one packet. */
void vhost_send(const void *head, size_t head_size, const void *data, size_t size);
/* Bytes of a packet that the next buffer takes. */
size_t vhost_room(void);

/* vsock.c: virtio's vsock device (virtio 1.2, 5.10), and Firecracker's sockets for it. */
int vsock_listen(const char *path, uint32_t cid); /* 0 or -1 */
uint32_t vsock_cid(void);
size_t vsock_poll(struct pollfd *list);
void vsock_turn(const struct pollfd *list);
void vsock_packet(const uint8_t *packet, size_t size); /* of the guest's */
void vsock_pump(void);                                 /* there may be room for packets */

/* main.c */
void fake_log(const char *level, const char *what, ...) __attribute__((format(printf, 2, 3)));
long long now_ms(void);

#endif
