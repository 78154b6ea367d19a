/* The host's end of an agent link (common/mux.h): one connection a running VM, a
 * reader thread, a table of channels. Every byte from the guest is hostile: a
 * frame that breaks the protocol ends the link, and exceeding a window ends the
 * channel. */
#ifndef BANGER_AGENT_LINK_H
#define BANGER_AGENT_LINK_H

#include "../../common/err.h"
#include "../../common/mux.h"

#include <stddef.h>
#include <stdint.h>

struct link;

/* Takes the connected socket and waits for the agent's WELCOME for at most
 * `timeout_ms` (checking `cancelled` about every 100 ms). `fresh`: the VM's first
 * connection, no padding needed. NULL with `e` filled on failure. */
struct link *link_open(int sock, int fresh, int timeout_ms, int (*cancelled)(void *), void *arg, struct err *e);

/* Counted references; the last drop ends all channels, joins the reader and frees. */
struct link *link_hold(struct link *link);
void link_drop(struct link *link);

/* 1 while the connection stands. */
int link_alive(struct link *link);

/* What the agent said of itself. */
const struct mux_welcome *link_welcome(const struct link *link);

/* Round trip of a PING, at most `timeout_ms`. */
int link_ping(struct link *link, int timeout_ms, struct err *e);
int link_poweroff(struct link *link, struct err *e);

/* `take` gets each lookup of the guest (MUX_QUERY, its form checked) from now on; NULL: they are dropped. It is called
 * by the link's reader under the link's lock, so it neither waits nor calls this module. When this returns, the one
 * before it is not called any more. */
typedef void link_query(void *arg, const struct mux_query *query, const uint8_t *bytes, uint32_t size);
void link_on_query(struct link *link, link_query *take, void *arg);
/* Sends an answer: struct mux_answer and the message, `size` bytes in all. It is dropped where the guest does not
 * take it soon: a guest that stops reading holds nobody up. */
void link_answer(struct link *link, const void *answer, uint32_t size);

/* Runs one command for a client: sends OPEN with `open` (payload of `size`
 * bytes, checked by the caller), then passes frames between the channel and
 * `client` (SOCK_SEQPACKET, channel 0) until EXIT has been passed on or the
 * client's end closes (then CLOSE is sent). Blocks for the command's whole life.
 * 0 with `*exit` filled; -ECONNRESET when the client went away; -EPIPE when the
 * link died; -EPROTO when client or guest broke the protocol. */
int link_exec(struct link *link, const void *open, uint32_t size, int client, struct mux_exit *exit, struct err *e);

/* Runs a service of the agent's own (MUX_OPEN_AGENT), argv[0] its name, and puts what it
 * writes to stdout into `answer`, NUL-terminated: its length, below `size`, which is at most
 * MUX_WINDOW (no credit is given back). What it says is hostile. A negative errno with `e`
 * filled: -ETIMEDOUT, -EMSGSIZE (longer than `answer`), -EREMOTEIO (the service failed; `e` has
 * its line), -EPROTO or -EPIPE. */
int link_ask(struct link *link, const char *const argv[], char *answer, size_t size, int timeout_ms, struct err *e);
#define LINK_QUESTION_MAX 8192 /* bytes of argv, and 18 */

/* What a service reads: at most MUX_WINDOW bytes, then its end. */
struct link_input {
    const void *bytes;
    size_t size;
};
/* The same with an input (NULL: none), and at -EREMOTEIO only the service's line: what it says is meant for people. */
int link_ask_with(struct link *link, const char *const argv[], const struct link_input *input, char *answer,
                  size_t size, int timeout_ms, struct err *e);

#endif
