/* What link.c (the connection) and exec.c (one command on it) share. */
#ifndef BANGER_AGENT_INTERNAL_H
#define BANGER_AGENT_INTERNAL_H

#include "channel.h"
#include "link.h"

#include <pthread.h>
#include <stdatomic.h>

struct link {
    int sock; /* non-blocking */
    atomic_int holders;
    atomic_int alive;
    pthread_t reader;
    struct mux_welcome welcome;

    pthread_mutex_t lock; /* the channel table, every channel's state, the pongs; never held over a wait */
    pthread_cond_t changed;
    struct link_channel *channels;
    uint32_t last_channel;
    uint64_t last_ping, last_pong;
    link_query *on_query; /* NULL: nobody takes lookups */
    void *on_query_arg;
    int open_ms, signal_ms; /* how long the guest may take to notice a new command, or a signal for one */

    pthread_mutex_t write_lock; /* one frame at a time */

    uint32_t have;       /* bytes in `in` */
    uint8_t in[MUX_PAD]; /* holds a whole frame */
};

/* Sends one frame. -EPIPE when the link is dead, or died because the guest took
 * nothing for LINK_WRITE_MS. */
int link_send(struct link *link, const struct mux_header *header, const void *payload);
#define LINK_WRITE_MS 30000

/* Sends a PING, which the guest answers after all that was sent before: its number, 0 when the link is dead. */
uint64_t link_ping_send(struct link *link);
/* 1 when that one has been answered. */
int link_ping_answered(struct link *link, uint64_t number);

/* Opens a channel for `client` in the table, and takes it out again. */
int link_channel_add(struct link *link, struct link_channel *channel, int client);
void link_channel_remove(struct link *link, struct link_channel *channel);

#endif
