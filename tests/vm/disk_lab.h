/* What the disk worker's tests do with: files of plain accounts, the helper's disk
 * socket, and what the kernel shows of device-mapper and loop devices. */
#ifndef BANGER_TESTS_DISK_LAB_H
#define BANGER_TESTS_DISK_LAB_H

#include "../netns/lab.h"

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define ALICE LAB_UID
#define BOB   (LAB_UID + 1)

void check(int good, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Prints the counts; main's exit status. */
int disk_summary(void);

/* Policy, modules, /dev/log. */
void disk_world(void);
/* Where the accounts' files are from now on: "ext4" or "full" (a small file system of its own),
 * "tmpfs"; NULL: nowhere, what was mounted is gone. */
void disk_place(const char *kind);

/* A base full of 'B' and an overlay reserved for it, of `uid`'s own. */
struct disk {
    char name[32];
    uid_t uid;
    uint64_t size;
    int base, overlay;
};
struct disk disk_make(uid_t uid, const char *name, uint64_t size);
void disk_drop(struct disk *d);
int disk_open(uid_t uid, const char *name, int flags);
/* A file of `size` bytes, the first `reserved` of them fallocated. */
int disk_file(uid_t uid, const char *name, uint64_t size, uint64_t reserved, int flags);
/* The same, all written, on a file system of type `type`. */
int disk_elsewhere(uid_t uid, const char *type, uint64_t size, int flags);
/* A block device. */
int disk_device(int flags);
/* The base of `d` is cut to nothing, and what is cached of it forgotten. */
int disk_truncate(struct disk *d);

/* verdict * 1000 + (DENIED: reason, FAILED: errno), -1 where the worker went. */
int disk_ask(struct lab_helper *h, uint32_t op, uint32_t slot, const struct disk *d);
#define DENIED(reason) (WIRE_DENIED * 1000 + (reason))
#define FAILED(error)  (WIRE_FAILED * 1000 + (error))
/* SNAP_UP: the descriptor, or -1. */
int disk_up(struct lab_helper *h, uint32_t slot, const struct disk *d);
/* The last answer in words. */
const char *disk_said(void);
/* SNAP_LIST's first 64 slots; all ones on failure. */
uint64_t disk_slots(struct lab_helper *h);
pid_t disk_worker(struct lab_helper *h);
/* SNAP_UP with the worker killed before its `step`th system call from the request on; ends
 * the helper. 0 when it answered first. */
int disk_kill_at(struct lab_helper *h, uint32_t slot, const struct disk *d, int step);

/* Whether a device of this name exists, and whether it and the account's loop devices are gone
 * within two seconds. */
int disk_exists(uid_t uid, uint32_t slot);
int disk_gone(uid_t uid, uint32_t slot);
/* Whether it has no live table. */
int disk_empty(uid_t uid, uint32_t slot);
/* Loop devices over files of the accounts'. */
int disk_loops(void);
/* Waits until the kernel's put-off removals are done. Always 1. */
int disk_settle(void);
/* The kernel's status line of the snapshot, and whether it is valid. */
const char *disk_status(uid_t uid, uint32_t slot);
int disk_valid(uid_t uid, uint32_t slot);
/* Whether `uid` can open no node for this device, /dev's own included. */
int disk_no_access(uid_t uid, dev_t dev);

/* The page cache of `fd` is dropped before reading. */
uint64_t disk_sum(int fd);
int disk_fill(int fd, uint64_t at, uint64_t size, char c);
int disk_is(int fd, uint64_t at, uint64_t size, char c);
int disk_reads(int fd, uint64_t at);
/* Each 4 KiB block written, every seventh first, and flushed. */
int disk_scatter(int fd, uint64_t size, char c);
/* Fills the file system of disk_place("full") to its last block, and frees that again. */
int disk_fill_host(void);
void disk_free_host(void);

double disk_now(void); /* milliseconds */
double disk_median(double *values, size_t count);
/* The same snapshot by losetup and dmsetup. */
int disk_by_hand(const struct disk *d);
int disk_by_hand_gone(void);

#endif
