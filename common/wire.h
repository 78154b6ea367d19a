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

#define WIRE_VERSION 1u

/* The descriptors the helper is started with: its end of each worker's socketpair. */
enum wire_worker { WIRE_NET = 0, WIRE_VMM = 1, WIRE_WORKERS = 2 };
#define WIRE_FD_FIRST 3 /* worker w's socket is descriptor WIRE_FD_FIRST + w */

enum wire_op {
    WIRE_NET_UP = 1,     /* slot -> 1 fd (the tap), subnet */
    WIRE_NET_DOWN = 2,   /* slot */
    WIRE_NET_EGRESS = 3, /* slot, egress.mode */
    WIRE_NET_LIST = 4,   /* -> slots bitmap, subnet */
    WIRE_VMM_SPAWN = 5,  /* slot, spawn; SPAWN_FDS (or SPAWN_TRIAL_FDS) fds -> 1 fd (pidfd), pid */
};

enum wire_egress { WIRE_EGRESS_NONE = 0, WIRE_EGRESS_NAT = 1 };

/* What VMM_SPAWN starts: an index into the policy's VMM list, in file order, or
 * the trial that runs a few AVX and BMI instructions in a throw-away VM. */
#define WIRE_SPAWN_TRIAL 0xffffu

/* VMM_SPAWN's descriptors, in this order. In the jail descriptor numbers are
 * fixed: SPAWN_FD_NUMBER(role); the kernel and initrd are bind-mounted instead
 * (files /kernel and /initrd), the jail folder is mounted at /vm. A trial takes
 * the first SPAWN_TRIAL_FDS only. */
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
    SPAWN_AGENT,  /* listening Unix stream socket */
    SPAWN_TAP,    /* /dev/net/tun descriptor (character device 10:200) */
    SPAWN_FDS,
};
#define SPAWN_FD_NUMBER(role) (3 + (role))

#define WIRE_CIDR_MAX 32

struct wire_request {
    uint16_t version;     /* WIRE_VERSION */
    uint16_t size;        /* sizeof(struct wire_request) */
    uint32_t op;          /* enum wire_op */
    uint64_t op_id;       /* the engine's id of the user's request, for the audit record */
    uint32_t slot;        /* 0..SLOT_MAX-1; 0 where the operation has none */
    uint32_t kind;        /* NET_EGRESS: enum wire_egress; VMM_SPAWN: VMM index; else 0 */
    uint32_t memory_mib;  /* VMM_SPAWN, else 0 */
    uint32_t vcpus;       /* VMM_SPAWN, else 0 */
    uint32_t reserved[8]; /* 0 */
};

/* `verdict` says who refused: the policy (with the reason's number) or the kernel. */
enum wire_verdict { WIRE_DONE = 0, WIRE_DENIED = 1, WIRE_FAILED = 2 };

/* `step` of a FAILED net operation. */
enum wire_net_step {
    NET_STEP_TAP = 1,     /* making the tap */
    NET_STEP_RULES = 2,   /* nftables */
    NET_STEP_BRIDGE = 3,  /* making or finding the account's bridge */
    NET_STEP_PORT = 4,    /* attaching the tap */
    NET_STEP_UPLINK = 5,  /* finding the default route's interface */
    NET_STEP_FORWARD = 6, /* switching forwarding on for bridge or uplink */
    NET_STEP_LIST = 7,    /* reading what exists */
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
    uint64_t slots[(SLOT_MAX + 63) / 64]; /* NET_LIST: bit slot%64 of word slot/64 */
};

/* Descriptors a request carries. */
static inline uint32_t wire_request_fds(const struct wire_request *request) {
    if (request->op != WIRE_VMM_SPAWN)
        return 0;
    return request->kind == WIRE_SPAWN_TRIAL ? SPAWN_TRIAL_FDS : SPAWN_FDS;
}

_Static_assert(sizeof(struct wire_request) == 64, "wire_request has no padding");
_Static_assert(sizeof(struct wire_reply) == 40 + 8 * ((SLOT_MAX + 63) / 64), "wire_reply has no padding");

#endif
