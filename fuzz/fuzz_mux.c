/* What comes over the link to the guest's agent: bytes to frames, and every frame as if it were an OPEN. */
#include "../guest/agent/agent.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void frame_check(const struct agent_parser *parser) {
    struct agent_open open;
    if (mux_header_bad(&parser->header))
        abort();
    if (agent_open_parse(parser->payload, parser->header.length, &open) < 0)
        return;
    size_t text = strlen(open.cwd) + strlen(open.user) + 2;
    for (char **at = open.argv; *at; at++)
        text += strlen(*at) + 1;
    for (char **at = open.envp; *at; at++)
        text += strlen(*at) + 1;
    if (!open.argv[0] || text + sizeof(struct mux_open) != parser->header.length)
        abort();
    agent_open_free(&open);
}

/* The first byte says in how large pieces the rest comes. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static struct agent_parser parser;
    if (size < 1)
        return 0;
    memset(&parser, 0, sizeof parser);
    size_t piece = (size_t) data[0] + 1;
    for (size_t at = 1; at < size;) {
        int frame = 0;
        size_t part = size - at < piece ? size - at : piece;
        at += agent_parser_feed(&parser, data + at, part, &frame);
        if (frame)
            frame_check(&parser);
    }
    if (data[0] % 2) /* long, so not every time */
        return 0;
    /* Whatever came before: padding and a HELLO are understood. */
    struct {
        uint8_t padding[MUX_PAD];
        struct mux_header header;
        struct mux_hello hello;
    } __attribute__((packed))
    end = {.header = {.magic = MUX_MAGIC, .type = MUX_HELLO, .length = sizeof(struct mux_hello)}};
    int frame = 0, heard = 0;
    for (size_t at = 0; at < sizeof end;) {
        at += agent_parser_feed(&parser, (const uint8_t *) &end + at, sizeof end - at, &frame);
        heard = frame && parser.header.type == MUX_HELLO;
    }
    if (!heard)
        abort();
    return 0;
}
