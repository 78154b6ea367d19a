/* The agent link: framed, multiplexed stream between engine and guest agent
 * (virtio-serial port MUX_PORT_NAME, or vsock where there is none), and between engine and CLI for one command
 * (SOCK_SEQPACKET, one frame a packet, channel 0). Header-only: the guest
 * includes this and nothing else of common/.
 *
 * A frame is struct mux_header and `length` bytes of payload, little-endian
 * (x86_64 only). Between frames, zero bytes are padding and are skipped.
 *
 * Start and resynchronisation: on each new connection the host sends MUX_PAD
 * zero bytes (enough to complete any frame cut by the previous connection; not
 * needed on a VM's first connection) and then HELLO with a fresh nonce. A guest that
 * boots mounts its disks only when the first byte has come: the host may still be
 * copying them while the kernel starts. The
 * agent, on HELLO, ends every channel and answers WELCOME with the same nonce. The
 * host discards all bytes before that WELCOME (it scans for header and nonce).
 *
 * Flow control: each data stream of a channel (0 stdin, 1 stdout, 2 stderr)
 * starts with MUX_WINDOW bytes of credit; the sender of DATA may have that much
 * outstanding, the receiver gives credit back with WINDOW as it consumes. So no
 * channel can block another. A side that exceeds its credit is broken: the host
 * ends the channel, the agent ends the command.
 *
 * Every byte from the guest is hostile; every byte from the CLI is checked by the
 * engine before it is passed on. */
#ifndef BANGER_COMMON_MUX_H
#define BANGER_COMMON_MUX_H

#include <stdint.h>

#define MUX_PORT_NAME   "org.banger.agent.0"
#define MUX_VSOCK_PORT  1024u /* where the VMM has vsock and no virtio-serial */
#define MUX_VERSION     1u
#define MUX_MAGIC       0xbau
#define MUX_PAYLOAD_MAX 32768u
#define MUX_WINDOW      131072u
#define MUX_PAD         (MUX_PAYLOAD_MAX + 16u)

struct mux_header {
    uint8_t magic;     /* MUX_MAGIC */
    uint8_t type;      /* enum mux_type */
    uint16_t reserved; /* 0 */
    uint32_t channel;  /* 0: the link itself; else chosen by the host, unique on the connection */
    uint32_t length;   /* payload bytes, at most MUX_PAYLOAD_MAX */
};

enum mux_type {
    MUX_HELLO = 1,      /* host -> agent, channel 0: struct mux_hello */
    MUX_WELCOME = 2,    /* agent -> host, channel 0: struct mux_welcome */
    MUX_OPEN = 3,       /* host -> agent: struct mux_open and its strings; opens the channel */
    MUX_DATA = 4,       /* both: one byte stream number, then 1..MUX_PAYLOAD_MAX-1 bytes */
    MUX_EOF = 5,        /* both: one byte stream number; no more DATA on it */
    MUX_WINDOW_ADD = 6, /* both: struct mux_window */
    MUX_RESIZE = 7,     /* host -> agent: struct mux_resize */
    MUX_SIGNAL = 8,     /* host -> agent: struct mux_signal, to the command's process group */
    MUX_EXIT = 9,       /* agent -> host: struct mux_exit; the channel is closed */
    MUX_CLOSE = 10,     /* host -> agent: end the command (HUP, then KILL after 2 s); no EXIT follows */
    MUX_PING = 11,      /* host -> agent, channel 0: 8 bytes, returned in */
    MUX_PONG = 12,      /* agent -> host, channel 0 */
    MUX_POWEROFF = 13,  /* host -> agent, channel 0: ask the guest's init to power off */
    MUX_QUERY = 14,     /* agent -> host, channel 0: struct mux_query, then a DNS query */
    MUX_ANSWER = 15,    /* host -> agent, channel 0: struct mux_answer, then the DNS answer */
};

struct mux_hello {
    uint8_t nonce[16];
    uint32_t version; /* MUX_VERSION */
    uint32_t reserved;
    uint64_t realtime_ns; /* the host's clock; the agent sets the guest's when it is off by over 1 s */
};

struct mux_welcome {
    uint8_t nonce[16];
    uint32_t version;
    uint32_t reserved;
    char boot_id[40]; /* /proc/sys/kernel/random/boot_id, NUL-padded */
    char build[64];   /* the agent's version stamp, NUL-padded */
};

/* Followed by NUL-terminated strings: cwd ("" = home, then /), user ("" = root, else
 * USER or USER:GROUP, names or numbers, looked up in the guest's files),
 * then argc arguments (argc >= 1), then envc "NAME=value". */
struct mux_open {
    uint32_t flags; /* MUX_OPEN_... */
    uint16_t rows, cols;
    uint32_t argc, envc;
};
#define MUX_OPEN_TTY      1u /* a pseudo-terminal as stdin, stdout and stderr; output on stream 1 */
#define MUX_OPEN_MAKE_CWD 2u /* cwd is made, with what is above it, where it is missing */
#define MUX_OPEN_AGENT    4u /* argv is a service of the agent's own (argv[0] its name), run in a process of its own */
/* cwd is a workspace: one that cannot be entered is a line on stream 2 and home instead; in it, where it has a
 * configuration of mise's and the guest has mise, the command runs by `mise exec`. */
#define MUX_OPEN_WORKSPACE 8u
#define MUX_OPEN_FLAGS     15u

struct mux_window {
    uint32_t stream;
    uint32_t credit;
};
struct mux_resize {
    uint16_t rows, cols;
};
struct mux_signal {
    uint32_t signal;
};

/* A command that could not be started: code 127 (not found) or 126 (not
 * executable, no such user or folder) after a line on stream 2 (1 with a
 * terminal) that says why. */
struct mux_exit {
    uint32_t signaled; /* 1: `code` is the signal's number */
    uint32_t code;
};

/* A lookup of the guest (its resolver is the agent, on its loopback). The query is 1..MUX_QUERY_MAX bytes, the
 * answer 1..MUX_ANSWER_MAX. The agent has at most MUX_QUERIES_MAX of them without an answer, and gives one up
 * after 15 s; the host answers in any order, or not at all: more than a rate of its choice it drops. */
#define MUX_QUERY_MAX   512u
#define MUX_ANSWER_MAX  16384u
#define MUX_QUERIES_MAX 64u
struct mux_query {
    uint32_t id;
    uint32_t tcp; /* 1: it came over TCP, so its answer may be longer than a datagram */
};
struct mux_answer {
    uint32_t id; /* the query's; one that the agent does not know is dropped */
};

/* 0 when the header is one the receiver may act on: magic, reserved, length. */
static inline int mux_header_bad(const struct mux_header *h) {
    return h->magic != MUX_MAGIC || h->reserved != 0 || h->type < MUX_HELLO || h->type > MUX_ANSWER ||
           h->length > MUX_PAYLOAD_MAX;
}

_Static_assert(sizeof(struct mux_header) == 12, "mux_header has no padding");
_Static_assert(sizeof(struct mux_open) == 16, "mux_open has no padding");

#endif
