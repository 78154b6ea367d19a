/* The helper's protocol.
 *
 * Each worker of the helper has one SOCK_SEQPACKET socketpair to the engine. A
 * request is one struct wire_request with exactly the descriptors its operation
 * declares; the answer is one struct wire_reply. Fixed sizes, no pointers, no
 * paths, no strings, no device numbers. Anything malformed (size, version,
 * unknown operation, non-zero reserved bytes, wrong number of descriptors) makes
 * the worker die; anything well-formed but not allowed is answered with a
 * verdict. One request, one reply, in order. Integers are host-endian: both ends
 * are one machine. The uid is the helper's own real uid and never a field. */
#ifndef BANGER_COMMON_WIRE_H
#define BANGER_COMMON_WIRE_H

#include "addr.h"

#include <stdint.h>

#define WIRE_VERSION 2u

/* The descriptors the helper is started with: its end of each worker's socketpair. */
enum wire_worker { WIRE_NET = 0, WIRE_DISK = 1, WIRE_VMM = 2, WIRE_WORKERS = 3 };
#define WIRE_FD_FIRST 3 /* worker w's socket is descriptor WIRE_FD_FIRST + w */

enum wire_op {
    WIRE_NET_UP = 1,     /* slot, kind: enum wire_tap -> subnet, WIRE_TAP_FD: 1 fd (the tap) */
    WIRE_NET_DOWN = 2,   /* slot */
    WIRE_NET_EGRESS = 3, /* slot, kind: enum wire_egress, cidrs */
    WIRE_NET_LIST = 4,   /* -> slots bitmap, subnet */
    WIRE_SNAP_UP = 5,    /* slot, SNAP_FDS fds -> 1 fd: the snapshot's block device, O_RDWR */
    WIRE_SNAP_DOWN = 6,  /* slot; -EBUSY while somebody has it open */
    WIRE_SNAP_LIST = 7,  /* -> slots bitmap */
    WIRE_VMM_SPAWN = 8,  /* slot, kind: index into the policy's VMM list, in file order; style, memory_mib,
                          * vcpus, in_cgroup; fds by style -> 1 fd (pidfd), pid */
};

/* NET_UP: a tap that dies with its descriptor; or a persistent one of the account's, to
 * be opened by its name in the jail (Firecracker takes no descriptor), until NET_DOWN. Added
 * to either: the guest may speak IPv6, from its address of addr_ipv6() alone. */
enum wire_tap { WIRE_TAP_FD = 0, WIRE_TAP_NAMED = 1, WIRE_TAP_IPV6 = 2, WIRE_TAP_KINDS = 4 };

/* What a guest may reach through the uplinks: nothing; all but private ranges; only
 * the request's cidrs, instead of what was allowed before or beside it. */
enum wire_egress { WIRE_EGRESS_NONE = 0, WIRE_EGRESS_NAT = 1, WIRE_EGRESS_LIST = 2, WIRE_EGRESS_LIST_ADD = 3 };

/* SNAP_UP's descriptors: regular files of the account's own, on a file system that keeps
 * what fallocate(2) reserved (ext4, xfs, tmpfs). The overlay's size is
 * wire_snap_overlay(base's size) or more, all of it reserved. */
enum wire_snap_fd { SNAP_BASE /* O_RDONLY */, SNAP_OVERLAY /* O_RDWR */, SNAP_FDS };
#define SNAP_CHUNK 4096u /* bytes: what is copied at once */

/* Bytes of a persistent snapshot's overlay that can never be full: a header chunk, a
 * chunk for each of the base's, one with 256 exceptions of 16 bytes before each 256 of
 * them, and one to begin the next (drivers/md/dm-snap-persistent.c). */
static inline uint64_t wire_snap_overlay(uint64_t base) {
    uint64_t chunks = (base + SNAP_CHUNK - 1) / SNAP_CHUNK;
    return (chunks + chunks / 256 + 3) * SNAP_CHUNK;
}

/* VMM_SPAWN's descriptors, in this order; each style takes a first part of them. In the
 * jail descriptor numbers are fixed: SPAWN_FD_NUMBER(role). Not passed but mounted are
 * the jail folder (/vm), kernel and initrd (/kernel, /initrd), and for a VMM that opens
 * by name also the disks (/root.ext4, /work.ext4; a block device as a node). With
 * in_cgroup one more comes last: the folder of a cgroup (v2) of the account's own, where
 * the VMM is started. */
enum wire_spawn_fd {
    SPAWN_ARGS,    /* memfd, O_RDONLY or sealed: struct jail_args; read by banger-jail only */
    SPAWN_LOG,     /* regular file, O_RDWR: banger-jail keeps its last part bounded; VMM's stderr */
    SPAWN_STATUS,  /* regular file, O_RDWR, flock'ed by the caller: alive while locked; exit status at the end */
    SPAWN_CONSOLE, /* regular file, O_RDWR: the guest's console, bounded by banger-jail */
    SPAWN_TRIAL_FDS = SPAWN_CONSOLE,
    SPAWN_JAIL,   /* directory, the VM's jail folder */
    SPAWN_KERNEL, /* regular file, O_RDONLY */
    SPAWN_INITRD, /* regular file, O_RDONLY */
    SPAWN_ROOT,   /* regular file or block device, O_RDWR: root disk */
    SPAWN_WORK,   /* regular file, O_RDWR: work disk */
    SPAWN_QMP,    /* listening Unix stream socket */
    SPAWN_NAMED_FDS = SPAWN_QMP,
    SPAWN_AGENT, /* listening Unix stream socket */
    SPAWN_TAP,   /* /dev/net/tun descriptor (character device 10:200) */
    SPAWN_FDS,
    SPAWN_CGROUP = SPAWN_FDS, /* directory of a cgroup2 file system */
    SPAWN_ROLES,
};
#define SPAWN_FD_NUMBER(role) (3 + (role))

/* By descriptor (QEMU), by name (Firecracker), or the trial that runs a few AVX and BMI
 * instructions in a throw-away VM and starts no VMM of the policy's. */
enum wire_style { SPAWN_BY_FD = 0, SPAWN_BY_NAME = 1, SPAWN_TRIAL = 2, SPAWN_STYLES };

#define WIRE_CIDR_MAX     32
#define WIRE_LIFETIME_MAX 86400u /* seconds */

/* IPv4, host byte order, host bits zero; `lifetime` in seconds, 0: until NET_DOWN. */
struct wire_cidr {
    uint32_t address;
    uint32_t prefix;
    uint32_t lifetime;
};

/* A field that an operation does not use is 0. */
struct wire_request {
    uint16_t version;    /* WIRE_VERSION */
    uint16_t size;       /* sizeof(struct wire_request) */
    uint32_t op;         /* enum wire_op */
    uint64_t op_id;      /* the engine's id of the user's request, for the audit record */
    uint32_t slot;       /* 0..SLOT_MAX-1 */
    uint32_t kind;       /* NET_UP, NET_EGRESS, VMM_SPAWN: see there */
    uint32_t style;      /* VMM_SPAWN: enum wire_style */
    uint32_t in_cgroup;  /* VMM_SPAWN: 1 with SPAWN_CGROUP, 0 */
    uint32_t memory_mib; /* VMM_SPAWN */
    uint32_t vcpus;      /* VMM_SPAWN */
    uint32_t cidr_count; /* NET_EGRESS, LIST and LIST_ADD */
    uint32_t reserved[3];
    struct wire_cidr cidrs[WIRE_CIDR_MAX]; /* those from cidr_count on are 0 */
};

/* `verdict` says who refused: the policy (with the reason's number) or the kernel. */
enum wire_verdict { WIRE_DONE = 0, WIRE_DENIED = 1, WIRE_FAILED = 2 };

/* Where a reply's decision was recorded; NONE is denied. */
enum wire_records {
    WIRE_RECORDS_NONE = 0,
    WIRE_RECORDS_FILE = 1 /* and syslog */,
    WIRE_RECORDS_SYSLOG = 2 /* alone */
};

/* `step` of a FAILED network operation. */
enum wire_net_step {
    NET_STEP_TAP = 1,     /* making the tap */
    NET_STEP_RULES = 2,   /* nftables */
    NET_STEP_BRIDGE = 3,  /* making or finding the account's bridge */
    NET_STEP_PORT = 4,    /* attaching the tap */
    NET_STEP_UPLINK = 5,  /* finding the default route's interface */
    NET_STEP_FORWARD = 6, /* switching forwarding on for bridge or uplink */
    NET_STEP_LIST = 7,    /* reading what exists */
};

/* `step` of a FAILED snapshot operation. */
enum wire_snap_step {
    SNAP_STEP_DRIVER = 1, /* finding device-mapper */
    SNAP_STEP_LOOP = 2,   /* a loop device for base or overlay */
    SNAP_STEP_MAKE = 3,   /* making the device */
    SNAP_STEP_OPEN = 4,   /* opening it */
    SNAP_STEP_REMOVE = 5, /* removing it, or marking it for removal */
    SNAP_STEP_LIST = 6,   /* reading what exists */
};

/* `step` of a FAILED spawn: the low byte; above it, for TREE and MOUNT, which of the jail's mounts. */
enum wire_spawn_step {
    SPAWN_STEP_PIPE = 1,      /* pipe2 */
    SPAWN_STEP_CLONE = 2,     /* clone3 */
    SPAWN_STEP_TREE = 3,      /* open_tree, mount_setattr: cloning what is mounted in the jail */
    SPAWN_STEP_NAMESPACE = 4, /* unshare, and the propagation */
    SPAWN_STEP_ROOT = 5,      /* the tmpfs */
    SPAWN_STEP_MOUNT = 6,     /* mkdir and move_mount */
    SPAWN_STEP_NODE = 7,      /* mknod */
    SPAWN_STEP_PIVOT = 8,     /* pivot_root, umount2 */
    SPAWN_STEP_FD = 9,        /* descriptors */
    SPAWN_STEP_LIMIT = 10,    /* rlimits, signals, no_new_privs */
    SPAWN_STEP_EXEC = 11,     /* execve of banger-jail */
    SPAWN_STEP_DIED = 12,     /* the child ended without a word, or did not get ready */
};

struct wire_reply {
    uint16_t version;
    uint16_t size;
    uint32_t op;
    uint64_t op_id;
    uint32_t verdict; /* enum wire_verdict */
    uint32_t reason;  /* DENIED: enum policy_reason (policy/policy.h) */
    int32_t error;    /* DENIED or FAILED: positive errno */
    uint32_t step;    /* FAILED: number of the kernel call that failed; DENIED for a bad line: its number */
    uint32_t subnet;  /* NET_UP, NET_LIST: the account's subnet, host byte order */
    int32_t pid;      /* VMM_SPAWN: in the caller's pid namespace */
    uint32_t records; /* enum wire_records */
    uint32_t reserved;
    uint64_t slots[(SLOT_MAX + 63) / 64]; /* the lists: bit slot%64 of word slot/64 */
};

/* Descriptors a request carries; op and style are valid. */
static inline uint32_t wire_request_fds(const struct wire_request *request) {
    static const uint32_t by_style[SPAWN_STYLES] = {
        [SPAWN_BY_FD] = SPAWN_FDS, [SPAWN_BY_NAME] = SPAWN_NAMED_FDS, [SPAWN_TRIAL] = SPAWN_TRIAL_FDS};
    if (request->op == WIRE_SNAP_UP)
        return SNAP_FDS;
    return request->op == WIRE_VMM_SPAWN ? by_style[request->style] + request->in_cgroup : 0;
}

_Static_assert(sizeof(struct wire_request) == 56 + 12 * WIRE_CIDR_MAX, "wire_request has no padding");
_Static_assert(sizeof(struct wire_reply) == 48 + 8 * ((SLOT_MAX + 63) / 64), "wire_reply has no padding");

#endif
