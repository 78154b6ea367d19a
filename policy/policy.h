/* The policy: who may ask the helper for what.
 *
 * A pure parser of the policy file (from a buffer) and a pure decision; neither
 * touches the kernel, the heap or the name service. What is in load.c looks at the file
 * system. The helper decides with this; the unprivileged side only explains with it. */
#ifndef BANGER_POLICY_POLICY_H
#define BANGER_POLICY_POLICY_H

#include "../common/wire.h"

#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

#define POLICY_BYTES_MAX   65536 /* a longer file is refused */
#define POLICY_LINE_MAX    1024  /* bytes of a line; a longer one is refused */
#define POLICY_RULES_MAX   256   /* allow and deny lines */
#define POLICY_NETS_MAX    64    /* pool and subnet lines */
#define POLICY_UPLINKS_MAX 8
#define POLICY_PRIVATE_MAX 16
#define POLICY_VMMS_MAX    8
#define POLICY_FOLDERS_MAX 8
#define POLICY_NAME_SIZE   32
#define POLICY_PATH_SIZE   256

/* Why not. The numbers are in replies and in the audit record: only append. */
enum policy_reason {
    POLICY_ALLOWED = 0,
    POLICY_NO_FILE = 1,      /* there is no policy file */
    POLICY_UNSAFE = 2,       /* wrong owner, mode, kind or size */
    POLICY_BAD_LINE = 3,     /* a line cannot be read; the reply's `step` is its number */
    POLICY_NOT_LISTED = 4,   /* no allow line names the account */
    POLICY_DENIED = 5,       /* a deny line does */
    POLICY_SPECIAL = 6,      /* root, nobody or no account at all */
    POLICY_NO_SUBNET = 7,    /* no pool or subnet line covers the uid */
    POLICY_SLOT = 8,         /* slot number beyond `slots` */
    POLICY_NO_NAT = 9,       /* nat no, or no uplink line */
    POLICY_NO_VMM = 10,      /* no such vmm line, or not driven in this style */
    POLICY_MEMORY = 11,      /* 0, or beyond memory-max */
    POLICY_VCPUS = 12,       /* 0, or beyond vcpus-max */
    POLICY_DESCRIPTOR = 13,  /* a descriptor is not what the operation takes */
    POLICY_CIDR = 14,        /* a range that guests never reach, or no range at all */
    POLICY_OVERLAY = 15,     /* an overlay that could become full, or a file system that does not keep reservations */
    POLICY_DISK = 16,        /* a disk beyond disk-max */
    POLICY_NOT_RECORDED = 17 /* the audit file cannot be written: decided by the helper's parent */
};
#define POLICY_REASONS 18 /* each has a sentence: unpriv/priv/sentence.c */

/* IPv4, host byte order; host bits are zero. */
struct policy_cidr {
    uint32_t address;
    uint32_t prefix;
};

struct policy_rule {
    int deny;
    int group;   /* 1: `id` is a gid, 0: a uid */
    uint32_t id; /* numeric: the helper asks no name service */
};

/* The uids uid..uid+count-1 own the /22s of `net`, in order. */
struct policy_net {
    struct policy_cidr net;
    uint32_t uid;
    uint32_t count;
};

/* A VMM that may be started; its number is its line's place among the vmm lines. */
struct policy_vmm {
    char name[POLICY_NAME_SIZE];                        /* "firecracker" is started by name, others by descriptor */
    char binary[POLICY_PATH_SIZE];                      /* absolute, within one of the folders or not */
    char folders[POLICY_FOLDERS_MAX][POLICY_PATH_SIZE]; /* absolute; read-only in the jail */
    uint32_t folder_count;
};

struct policy {
    enum policy_reason fault; /* not POLICY_ALLOWED: nothing is allowed, for this reason */
    uint32_t bad_line;        /* POLICY_BAD_LINE: its number, from 1 */
    const char *problem;      /* POLICY_BAD_LINE: what is wrong with it (static text) */
    struct policy_rule rules[POLICY_RULES_MAX];
    uint32_t rule_count;
    struct policy_net nets[POLICY_NETS_MAX];
    uint32_t net_count;
    char uplinks[POLICY_UPLINKS_MAX][IFNAME_SIZE]; /* "default": the IPv4 default route's */
    uint32_t uplink_count;
    struct policy_cidr private_allow[POLICY_PRIVATE_MAX];
    uint32_t private_count;
    struct policy_vmm vmms[POLICY_VMMS_MAX];
    uint32_t vmm_count;
    uint32_t slots;      /* slot numbers 0..slots-1 an account */
    uint32_t memory_max; /* MiB a VM */
    uint32_t vcpus_max;  /* a VM */
    uint32_t disk_max;   /* MiB a disk */
    int nat;
    uint32_t seen; /* bits of the keywords that may occur once */
};

/* Who asks: from the kernel, never from a message. */
struct policy_who {
    uid_t uid;
    const gid_t *gids; /* primary and supplementary */
    size_t gid_count;
};

/* What a received descriptor is. */
struct policy_fd {
    struct stat st;
    uint32_t magic;    /* f_type of its file system (statfs(2)) */
    int flags;         /* F_GETFL */
    int seals;         /* F_GET_SEALS, -1 where it is no memfd */
    int socket_domain; /* SO_DOMAIN, -1 where it is no socket */
    int socket_type;   /* SO_TYPE */
    int listening;     /* SO_ACCEPTCONN */
};

/* RFC 6890's ranges that are not the Internet, multicast and reserved: what no guest
 * reaches but by a `private allow` line. */
#define POLICY_REFUSED 10
extern const struct policy_cidr policy_refused[POLICY_REFUSED];

/* Reads `size` bytes of `text` into `policy`. 0, or the number of the first bad
 * line with `fault`, `bad_line` and `problem` set: then the policy allows nothing. */
uint32_t policy_parse(struct policy *policy, const char *text, size_t size);

/* The decision. `request` is well-formed (wire.h); `fds` has as many entries as
 * wire_request_fds() says. */
enum policy_reason policy_decide(const struct policy *policy, const struct policy_who *who,
                                 const struct wire_request *request, const struct policy_fd *fds);

/* The account's /22, host byte order, or 0 when it has none. */
uint32_t policy_subnet(const struct policy *policy, uid_t uid);

/* A policy file and what it looked like when it was read. */
struct policy_file {
    struct stat seen;
    int loaded;
    struct policy policy;
};

/* Whether only root can change the folders on the way to that of `path`, which itself is
 * checked with each reading. For both: `path` is absolute, without links and shorter than
 * POLICY_PATH_SIZE, and its folder is not "/". */
int policy_folders_safe(const char *path);

/* Reads `path` again when it changed since the last call (device, inode, size or
 * ctime, which every change of the file moves). Owner must be root and nobody else able to write, for the file
 * and its folder; the file regular, not a link, at most POLICY_BYTES_MAX bytes.
 * Always leaves `file->policy` usable: at worst it allows nothing and says why. */
void policy_refresh(struct policy_file *file, const char *path);

#endif
