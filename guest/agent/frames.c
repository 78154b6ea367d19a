#include "agent.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#define HEADER sizeof(struct mux_header)

/* A header of which all bytes are there, at the parser's own place. */
static int header_refused(const struct agent_parser *parser) {
    const struct mux_header *header = &parser->header;
    if (mux_header_bad(header))
        return 1;
    return parser->hunting &&
           (header->type != MUX_HELLO || header->channel != 0 || header->length != sizeof(struct mux_hello));
}

/* Drops the first header byte and those after it that cannot begin a frame. */
static void header_shift(struct agent_parser *parser) {
    uint8_t bytes[HEADER];
    memcpy(bytes, &parser->header, HEADER);
    size_t from = 1;
    while (from < parser->have && bytes[from] != MUX_MAGIC)
        from++;
    parser->have -= from;
    memcpy(&parser->header, bytes + from, parser->have);
    parser->hunting = 1;
}

/* One header byte. */
static void header_byte(struct agent_parser *parser, uint8_t byte) {
    if (parser->have == 0 && byte == 0)
        return; /* padding */
    if (parser->have == 0 && byte != MUX_MAGIC) {
        parser->hunting = 1;
        return;
    }
    memcpy((uint8_t *) &parser->header + parser->have, &byte, 1);
    parser->have++;
    if (parser->have == HEADER && header_refused(parser))
        header_shift(parser);
}

size_t agent_parser_feed(struct agent_parser *parser, const uint8_t *data, size_t size, int *frame) {
    size_t used = 0;
    *frame = 0;
    for (;;) {
        if (parser->have == HEADER + parser->header.length && parser->have >= HEADER) {
            parser->have = 0;
            parser->hunting = 0;
            *frame = 1;
            return used;
        }
        if (used == size)
            return used;
        if (parser->have < HEADER) {
            header_byte(parser, data[used++]);
            continue;
        }
        size_t at = parser->have - HEADER;
        size_t part = parser->header.length - at;
        if (part > size - used)
            part = size - used;
        memcpy(parser->payload + at, data + used, part);
        parser->have += part;
        used += part;
    }
}

/* Between frames nothing was cut: of a virtio port the news that the host is gone can come after the
 * next host's HELLO (a queue of its own carries it), and what follows that is for us. */
void agent_parser_cut(struct agent_parser *parser) {
    if (parser->have > 0)
        parser->hunting = 1;
    parser->have = 0;
}

size_t agent_out_room(const struct agent_out *out) {
    size_t room = AGENT_OUT_SIZE - (out->tail - out->head);
    if (room < HEADER)
        return 0;
    room -= HEADER;
    return room < MUX_PAYLOAD_MAX ? room : MUX_PAYLOAD_MAX;
}

uint8_t *agent_out_payload(struct agent_out *out) {
    if (AGENT_OUT_SIZE - out->tail < HEADER + MUX_PAYLOAD_MAX) {
        memmove(out->data, out->data + out->head, out->tail - out->head);
        out->tail -= out->head;
        out->head = 0;
    }
    return out->data + out->tail + HEADER;
}

void agent_out_commit(struct agent_out *out, enum mux_type type, uint32_t channel, size_t length) {
    struct mux_header header = {
        .magic = MUX_MAGIC, .type = (uint8_t) type, .channel = channel, .length = (uint32_t) length};
    memcpy(out->data + out->tail, &header, HEADER);
    out->tail += HEADER + length;
}

void agent_out_frame(struct agent_out *out, enum mux_type type, uint32_t channel, const void *payload, size_t length) {
    uint8_t *place = agent_out_payload(out);
    if (length)
        memcpy(place, payload, length);
    agent_out_commit(out, type, channel, length);
}

int agent_out_flush(struct agent_out *out, int fd) {
    while (out->head < out->tail) {
        ssize_t put = write(fd, out->data + out->head, out->tail - out->head);
        if (put < 0 && errno == EINTR)
            continue;
        if (put <= 0)
            return put < 0 ? -errno : -EAGAIN;
        out->head += (size_t) put;
    }
    out->head = out->tail = 0;
    return 0;
}
