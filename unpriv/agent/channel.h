/* One command's channel on an agent link, as state: what the guest may still
 * send, what waits for the client, what the client may still send. It does no
 * blocking call. The link's lock is held around every call.
 *
 * The reader of the link must never wait for a client, so what the client's
 * socket does not take at once is kept here; the guest's credit bounds it to
 * MUX_WINDOW bytes a stream, and the buffer exists only while something waits. */
#ifndef BANGER_AGENT_CHANNEL_H
#define BANGER_AGENT_CHANNEL_H

#include "../../common/mux.h"

#include <stdint.h>

#define LINK_STREAMS 3 /* 0 stdin, 1 stdout, 2 stderr */

/* One output stream, guest to client. */
struct link_stream {
    uint8_t *ring; /* MUX_WINDOW bytes, NULL while nothing waits */
    uint32_t start, waiting;
    uint32_t delivered; /* bytes the client got and has not given credit back for */
    int eof;            /* the guest said EOF */
    int eof_sent;       /* the client knows */
};

enum link_end {
    LINK_OPEN = 0,
    LINK_EXITED,       /* EXIT has been passed on: done */
    LINK_CLIENT_GONE,  /* the client's end is closed */
    LINK_CLIENT_BROKE, /* the client broke the protocol */
    LINK_GUEST_BROKE,  /* the guest broke the protocol on this channel */
    LINK_STUCK,        /* the guest does not answer */
    LINK_DEAD,         /* the link ended */
};

struct link_channel {
    struct link_channel *next; /* in the link's table */
    uint32_t id;
    int client; /* SOCK_SEQPACKET, the caller's; only ever used with MSG_DONTWAIT */
    int wake;   /* eventfd: something changed for link_exec */
    enum link_end end;
    struct link_stream out[LINK_STREAMS]; /* 1 and 2 */
    uint32_t in_sent;                     /* stdin bytes the guest has not given credit back for */
    uint32_t in_credit;                   /* credit for stdin that waits to be passed to the client */
    int in_eof;
    int exited;
    struct mux_exit exit;
};

/* 0 or a negative errno. link_channel_free releases what init and frames took. */
int link_channel_init(struct link_channel *channel, uint32_t id, int client);
void link_channel_free(struct link_channel *channel);

/* Takes a frame of the guest for this channel. A violation ends the channel
 * (`end`); link_exec is woken whenever it has something to do. */
void link_channel_from_guest(struct link_channel *channel, const struct mux_header *header, const uint8_t *payload);

/* Takes a packet of the client: 1 when it is right and may be passed to the
 * guest (`packet` then carries the channel's number), 0 when the channel has ended. */
int link_channel_from_client(struct link_channel *channel, uint8_t *packet, uint32_t size);

/* Sends the client what waits, in order; EXIT last. 1 when something still waits. */
int link_channel_flush(struct link_channel *channel);

/* Ends the channel with `end` unless it has ended already, and wakes link_exec. */
void link_channel_end(struct link_channel *channel, enum link_end end);

#endif
