/* banger-agent: the initramfs's /init, and then the guest's end of the agent link.
 *
 *     main.c     arguments; PID 1 boots, anything else says its version
 *     boot.c     from the initramfs to the image's init
 *     module.c   kernel modules of the initramfs
 *     grow.c     a disk that has grown
 *     net.c      lo and eth0
 *     etc.c      the few files of the image that carry the VM's name and resolver
 *     image.c    what differs between images: missing folders, the init that is there
 *     init.c     PID 1 in images that have no init of their own
 *     port.c     finds and opens the virtio-serial port, or what there is instead
 *     vsock.c    a vsock port
 *     serve.c    the link: one thread, one poll loop
 *     frames.c   bytes to frames, frames to bytes
 *     names.c    the guest's resolver: its lookups go to the host
 *     channel.c  one command's streams and credits
 *     open.c     an OPEN's payload and the environment a command gets
 *     user.c     /etc/passwd and /etc/group
 *     spawn.c    starts one command
 *     tools.c    mise, where a workspace asks for it
 *     service.c  what the agent itself can be asked, each in a process like a command's
 *     service_ports.c  the ports that are listened on
 *     service_session.c, session_*.c  sessions (session.h)
 *
 * The binary is static, includes common/mux.h and common/tree.h and nothing else of common/, and
 * allocates only what is bounded here. */
#ifndef BANGER_GUEST_AGENT_H
#define BANGER_GUEST_AGENT_H

#include "../../common/mux.h"

#include <netinet/in.h>
#include <poll.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/types.h>

/* The build's stamp; both come from the Makefile. */
#ifndef BANGER_COMMIT
#define BANGER_COMMIT "unknown"
#endif
#define AGENT_BUILD BANGER_VERSION " (" BANGER_COMMIT ")"

#define AGENT_CHANNELS_MAX 256
#define AGENT_GROUPS_MAX   256
#define AGENT_KILL_MS      2000 /* from HUP to KILL */

/* One line to stderr (the console), prefixed with the program's name. */
void agent_log(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* CLOCK_MONOTONIC in milliseconds. */
long long agent_now_ms(void);
/* Sleeps that long. */
void agent_sleep_ms(long milliseconds);
/* Reads a small file into `text` (NUL-terminated, trailing newline removed). Its length or a negative errno. */
ssize_t agent_read_file(const char *path, char *text, size_t size);
/* Creates or replaces a file. 0 or a negative errno. */
int agent_write_file(const char *path, const char *text, mode_t mode);

/* --- boot ------------------------------------------------------------------ */

/* What the kernel's command line says (banger.*); absent ones are "". */
struct agent_cmdline {
    char address[32]; /* A.B.C.D/LEN */
    char gateway[32];
    char address6[48], gateway6[40]; /* the same of IPv6 */
    char name[65];
    char dns[32];
    char root[8], work[8]; /* the disks' devices, where they have no serial to be found by */
    char off[8];           /* "reset": the machine has no other way to end */
};

/* Takes the banger.* words out of a command line. Over-long values are left out. */
void agent_cmdline_parse(const char *text, struct agent_cmdline *out);

/* PID 1's work: does not return. What cannot be done is told on the console and
 * the machine is switched off. `title` is argv[0], overwritten with the agent's name. */
_Noreturn void agent_boot(char *title, size_t title_size);

/* Loads `folder`'s files in the order of their names. What fails is told, not fatal. */
void agent_modules_load(const char *folder);

/* Blocks that an ext4 with this superblock has on a device of so many bytes, where it has fewer now; else 0. */
uint64_t agent_ext4_room(const uint8_t super[1024], uint64_t bytes);
/* Mounts an ext4, after e2fsck where that is there and the kernel finds it damaged; where its device has become larger,
 * it grows. That it cannot grow is told, not fatal. 0 or a negative errno. */
int agent_disk_mount(const char *device, const char *target);

/* Brings up lo, and eth0 where there is one with the command line's addresses and gateways. */
void agent_net_up(const struct agent_cmdline *cmdline);

/* Name, resolver and (for systemd) run-time settings, under the root at `root`
 * ("" after the switch). */
void agent_etc_write(const char *root, const struct agent_cmdline *cmdline, int systemd);

/* The folder, in place of whatever else has its name. */
void agent_folder_make(const char *path, mode_t mode);
/* /tmp, where the image has none. */
void agent_tmp_make(void);
/* The image's init, or NULL. */
const char *agent_init_find(void);
int agent_is_systemd(const char *init);
/* 1 when busybox's init would start something: the first sysinit program of this inittab is
 * there, or (NULL) its own default is. */
int agent_inittab_works(FILE *inittab);
/* The command that has an init power the machine off, by its program's name; NULL when the
 * image has none. */
const char *const *agent_poweroff_command(const char *init);
/* From now on the machine is switched off by a reset. */
void agent_off_is_reset(void);
int agent_resets(void);
/* Switches it off at once, without a word to anybody. */
void agent_off(void);

/* PID 1 of an image without init: reaps, and powers off when asked. */
_Noreturn void agent_init(void);
/* Ends every process but the caller and switches the machine off (RB_POWER_OFF) or restarts it. */
_Noreturn void agent_down(int how);

/* --- link ------------------------------------------------------------------ */

/* Where the host is: a virtio-serial port, or a listening vsock socket and the connection
 * that was last made to it. Descriptors are nonblocking; -1: none. */
struct agent_port {
    int fd, listener;
};

/* Opens the virtio-serial port named MUX_PORT_NAME, or where there is vsock and no such
 * port listens on MUX_VSOCK_PORT; waits for either to appear. */
struct agent_port agent_port_open(void);
/* Waits for the host's first byte, its greeting: only then the disks are complete. Takes nothing. */
void agent_port_wait(struct agent_port *port);
/* A listening socket, -1 where there is no device. */
int agent_vsock_listen(void);
/* A connection of the host's, or -1. */
int agent_vsock_accept(int listener);

/* Serves the link on `port` (its connection is made nonblocking here) until SIGTERM, which ends all
 * commands. SIGCHLD and SIGTERM must not be handled by anybody else in the
 * process, and descriptors 0, 1 and 2 must be open. Returns 0, or a negative
 * errno when it could not start. */
int agent_serve(struct agent_port port);

/* Bytes to frames. */
struct agent_parser {
    size_t have;
    int hunting; /* lost: looks for a HELLO and takes nothing else */
    struct mux_header header;
    uint8_t payload[MUX_PAYLOAD_MAX];
};

/* Takes bytes until one frame is complete (then `*frame` is 1 and the frame is in
 * the parser until the next call) or all are used. Returns the bytes taken. A header that
 * breaks the protocol makes it hunt for the next HELLO. */
size_t agent_parser_feed(struct agent_parser *parser, const uint8_t *data, size_t size, int *frame);
/* The connection was cut: forgets a frame in progress, and where there was one hunts. */
void agent_parser_cut(struct agent_parser *parser);

/* Frames to bytes: one bounded buffer. */
#define AGENT_OUT_SIZE 262144u
struct agent_out {
    size_t head, tail;
    uint8_t data[AGENT_OUT_SIZE];
};

/* Bytes of payload that a frame queued now may have; 0 when not even an empty one fits. */
size_t agent_out_room(const struct agent_out *out);
/* Where the payload of the next frame goes (at most agent_out_room bytes)... */
uint8_t *agent_out_payload(struct agent_out *out);
/* ...and that it is there. */
void agent_out_commit(struct agent_out *out, enum mux_type type, uint32_t channel, size_t length);
/* Queues a frame; the caller has seen that it fits. */
void agent_out_frame(struct agent_out *out, enum mux_type type, uint32_t channel, const void *payload, size_t length);
/* Writes what the descriptor takes. 0 or a negative errno (-EAGAIN: later). */
int agent_out_flush(struct agent_out *out, int fd);

/* The guest's resolver: UDP and TCP on the loopback, whose queries go to the host (MUX_QUERY) and whose answers
 * come from there. What any program of the guest sends here is bounded: MUX_QUERIES_MAX queries without an answer,
 * AGENT_NAMES_CONNECTIONS connections, each with one query at a time. */
#define AGENT_NAMES_ADDRESS     "127.0.0.42" /* 127.0.0.1 is for the guest's own */
#define AGENT_NAMES_PORT        53
#define AGENT_NAMES_CONNECTIONS 8
#define AGENT_NAMES_POLLS       (2 + AGENT_NAMES_CONNECTIONS)
/* Binds that address and the port. 0 or a negative errno; then there is no resolver, and nothing else fails. */
int agent_names_open(uint16_t port);
/* Fills `list` (AGENT_NAMES_POLLS) with what is waited for; the count. `*timeout` (poll's) is lowered where
 * something is due. */
size_t agent_names_polls(struct pollfd *list, int *timeout);
/* Takes what `list` says is there, as far as `out` has room for the frames. */
void agent_names_take(const struct pollfd *list, size_t count, struct agent_out *out);
/* The payload of a MUX_ANSWER. */
void agent_names_answer(const uint8_t *payload, size_t size);

/* An OPEN, taken apart. The strings lie in `text`; agent_open_free gives all back. */
struct agent_open {
    uint32_t flags;
    uint16_t rows, cols;
    const char *cwd, *user;
    char **argv, **envp; /* NULL-terminated */
    char *text;
    const int *input; /* the command's standard input; NULL: a pipe */
};

/* 0, -EINVAL (the payload is not exactly one OPEN) or -ENOMEM. */
int agent_open_parse(const uint8_t *payload, size_t size, struct agent_open *open);
void agent_open_free(struct agent_open *open);

/* A user of the guest. */
struct agent_user {
    uid_t uid;
    gid_t gid;
    size_t group_count;
    gid_t groups[AGENT_GROUPS_MAX];
    char name[64], home[256], shell[256];
};

/* Looks up USER or USER:GROUP, each a name or a number ("" is root), in the guest's own
 * files. A number need not be listed there; a user's other groups come with it unless a
 * group is named. 0, or -ENOENT: no such user or group. Root needs no files. */
int agent_user_find(const char *name, struct agent_user *user);
/* The same in files of the caller's, NULL for those that are not there. */
int agent_user_read(FILE *passwd, FILE *group, const char *name, struct agent_user *user);

/* Environment of a command: the defaults for the user that `envp` does not set,
 * then `envp`. One allocation, freed by the caller; NULL when memory is short. */
char **agent_environment(const struct agent_user *user, int tty, char *const envp[]);

/* The next file that `name` may be in `*at`, a PATH that this takes apart. 0 at its end. */
int agent_path_next(const char **at, const char *name, char *file, size_t size);
/* The words that run the command in its workspace by mise, or NULL: the workspace does not ask for it, or there is
 * none in `path` or `home`. One allocation, freed by the caller, which borrows the command's words. */
char **agent_tools_words(const struct agent_open *open, const char *path, const char *home);

/* Starts a command. Fills pid and descriptors (nonblocking, close-on-exec; with a
 * terminal `in` and `out` are its master and a duplicate of it, `err` is -1; with an
 * input of its own `in` is -1).
 * Returns 0, or 126 or 127 with `reason` a line that says why. */
struct agent_process {
    pid_t pid;
    int in, out, err;
};
int agent_spawn(const struct agent_open *open, struct agent_process *process, char *reason, size_t size);
/* Makes a folder with all above it; what cannot be made is not there afterwards. */
void agent_path_make(const char *path, mode_t mode);
/* PATH of an environment. */
const char *agent_path_of(char *const envp[]);

/* A service of the agent's own, argv[0] its name: its exit status, 127 where there is none of that
 * name. It answers on stdout; when it fails, one line on stderr says why. */
int agent_service(int argc, char **argv);
int service_stats(int argc, char **argv);
int service_put(int argc, char **argv);
int service_get(int argc, char **argv);

/* "session": session.h. */
int service_session(int argc, char **argv);

/* "ports": the ports that the guest's programs listen on. */
int service_ports(int argc, char **argv);
/* One line of /proc/net/{tcp,udp}{,6}: 1 when the socket is in that state and has a port, then its
 * address as text. */
int agent_ports_line(const char *line, int family, int wanted_state, unsigned *port, unsigned long *inode,
                     char address[INET6_ADDRSTRLEN]);

/* One command. */
struct agent_channel {
    uint32_t id;
    int used, tty;
    int closing; /* no frame of it any more; only its end is waited for */
    int reaped, status;
    pid_t pid;
    long long kill_at; /* agent_now_ms() of the KILL that follows a HUP; 0: none */
    int in;
    int in_ended;         /* EOF came */
    uint32_t in_credit;   /* bytes the host may still send */
    uint32_t in_consumed; /* bytes not given back yet */
    uint8_t *backlog;     /* MUX_WINDOW bytes, a ring, once stdin did not take all at once */
    size_t backlog_head, backlog_size;
    struct agent_stream {
        int fd;            /* -1: ended */
        uint32_t credit;   /* bytes the host still takes */
        uint32_t leftover; /* once reaped: bytes that may still be read */
        int ended;         /* its EOF is to be sent */
    } out[2];
    uint32_t failed;  /* 126 or 127: never started, `reason` says why */
    char reason[256]; /* sent on stream 2 (1 with a terminal) before EXIT */
};

/* What the host asks of one channel. */
void agent_channel_open(struct agent_channel *channel, uint32_t id, const uint8_t *payload, size_t size);
void agent_channel_data(struct agent_channel *channel, const uint8_t *payload, size_t size);
void agent_channel_eof(struct agent_channel *channel, const uint8_t *payload, size_t size);
void agent_channel_window(struct agent_channel *channel, const uint8_t *payload, size_t size);
void agent_channel_resize(struct agent_channel *channel, const uint8_t *payload, size_t size);
void agent_channel_signal(struct agent_channel *channel, const uint8_t *payload, size_t size);
/* Ends the command: HUP now, KILL after AGENT_KILL_MS; nothing more is sent. */
void agent_channel_close(struct agent_channel *channel);
/* Ends the command at once; EXIT follows. */
void agent_channel_kill(struct agent_channel *channel);
/* Its process has ended with that wait status. */
void agent_channel_reaped(struct agent_channel *channel, int status);

/* Moves what can be moved: backlog to stdin, output to frames, credit, EOF, EXIT.
 * Returns 1 when the channel is free again. */
int agent_channel_pump(struct agent_channel *channel, struct agent_out *out);
/* 1 when pump could move output were its descriptor readable (credit, not ended). */
int agent_channel_wants(const struct agent_channel *channel, int stream);

#endif
