/* What the netns tests and the bench share: the real helper, started as a plain
 * account, and guests emulated by Ethernet frames on the tap's descriptor. */
#ifndef BANGER_TESTS_LAB_H
#define BANGER_TESTS_LAB_H

#include "../../common/wire.h"

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define LAB_HELPER "/usr/local/libexec/banger/banger-helper"
#define LAB_GROUP  61999
#define LAB_UID    61000 /* the pool's first; others follow */

struct lab_helper {
    pid_t pid;
    int net, disk, vmm; /* this side's sockets */
    int errors;         /* its stderr */
};

/* A shell command in the lab; exits the test on failure unless the command ends in "|| :". */
void lab_sh(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* 1 when it succeeds. */
int lab_try(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Writes the policy file. */
void lab_policy(const char *text);
/* Starts `path` as `uid` with LAB_GROUP (`group` != 0), `prepare` (may be NULL) run before the exec. */
struct lab_helper lab_start(const char *path, uid_t uid, int group, void (*prepare)(void));
/* Closes its sockets and waits. */
void lab_end(struct lab_helper *h);
/* What it wrote to stderr, ended. */
void lab_errors(struct lab_helper *h, char *text, size_t size);
/* One request: 0 and the reply, or a negative errno where the worker went. `*fd` as received, or -1. */
int lab_call(struct lab_helper *h, uint32_t op, uint32_t slot, uint32_t kind, struct wire_reply *reply, int *fd);
/* The same for any request; fills in version, size and op_id. */
int lab_send(struct lab_helper *h, struct wire_request *rq, struct wire_reply *reply, int *fd);

struct guest {
    int fd;
    uint32_t address, gateway;
    uint8_t mac[6], gateway_mac[6];
};
/* NET_UP: a guest on the slot; fd -1 on failure. */
struct guest lab_up(struct lab_helper *h, uid_t uid, uint32_t slot);
/* The same; a WIRE_TAP_NAMED one is opened by its name, as `uid`. */
struct guest lab_up_kind(struct lab_helper *h, uid_t uid, uint32_t slot, uint32_t kind);
/* The persistent tap of that name opened as `uid` without any capability, or a negative errno. */
int lab_attach(uid_t uid, const char *tap);

struct frame {
    uint8_t bytes[1600];
    size_t size;
};
struct frame frame_icmp(const uint8_t *to_mac, const uint8_t *mac, uint32_t from, uint32_t to);
/* Of an echo request whose data was changed; `ip` is where its IPv4 header begins. */
void frame_checksum(struct frame *f, size_t ip);
struct frame frame_arp(const uint8_t *mac, const uint8_t *sender_mac, uint32_t sender, uint32_t target);
struct frame frame_ether(const uint8_t *to, const uint8_t *mac, uint16_t type, const void *data, size_t size);
/* The same with a VLAN tag. */
struct frame frame_vlan(const struct frame *f);
void guest_send(const struct guest *g, const struct frame *f);
/* A frame that has come for the guest, its size, or 0; it answers ARP for its own address. */
size_t guest_next(const struct guest *g, uint8_t *frame, size_t size);
/* Whether an exact copy of `f` reaches `g` in 250 ms. */
int guest_gets(const struct guest *g, const struct frame *f);
/* Whether an echo reply from `from` reaches `g`; it answers ARP meanwhile. */
int guest_pinged(const struct guest *g, uint32_t from);
/* Asks for the gateway's MAC by ARP, as a guest does: 1 when it was answered. */
int guest_resolve(struct guest *g);
/* Whether anyone says by ARP, asked by `f`, to have `address`. */
int guest_arped(const struct guest *g, const struct frame *f, uint32_t address);
struct frame frame_udp(const struct guest *g, uint32_t to, uint16_t to_port, uint16_t from_port);
/* Whether a UDP datagram with `text` reaches `g`; it answers ARP meanwhile. */
int guest_hears(const struct guest *g, const char *text);

#endif
