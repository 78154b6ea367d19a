#include "inflate.h"

#include <errno.h>
#include <string.h>
#include <zlib.h>

/* --- LZO1X, Documentation/staging/lzo.rst of the kernel ----------------------------- */

/* One block under way. What goes beyond an end sets `bad` and does nothing. */
struct lzo {
    const uint8_t *in, *end;
    uint8_t *out;
    size_t used, room;
    int bad;
};

static size_t byte(struct lzo *lzo) {
    if (lzo->in < lzo->end)
        return *lzo->in++;
    lzo->bad = 1;
    return 0;
}

static size_t two(struct lzo *lzo) {
    size_t low = byte(lzo);
    return low | byte(lzo) << 8;
}

static void literals(struct lzo *lzo, size_t length) {
    if (length > (size_t) (lzo->end - lzo->in) || length > lzo->room - lzo->used) {
        lzo->bad = 1;
        return;
    }
    memcpy(lzo->out + lzo->used, lzo->in, length);
    lzo->in += length;
    lzo->used += length;
}

/* Byte by byte: what is copied may be of this very copy. */
static void repeat(struct lzo *lzo, size_t distance, size_t length) {
    if (distance > lzo->used || length > lzo->room - lzo->used) {
        lzo->bad = 1;
        return;
    }
    for (uint8_t *to = lzo->out + lzo->used; length > 0; length--, to++, lzo->used++)
        *to = to[-(ptrdiff_t) distance];
}

/* A length that did not fit its bits: `most` and 255 for each zero byte before the last. */
static size_t extended(struct lzo *lzo, size_t bits, size_t most) {
    if (bits)
        return bits;
    size_t next = 0;
    while ((next = byte(lzo)) == 0 && !lzo->bad)
        most += 255;
    return most + next;
}

/* Instruction `code` below 16; `state`: how many literals went before it, 4 for a run. The literals to follow. */
static size_t small(struct lzo *lzo, size_t code, size_t state) {
    if (state == 0) {
        literals(lzo, 3 + extended(lzo, code, 15));
        return 4;
    }
    size_t distance = (byte(lzo) << 2) + (code >> 2) + 1;
    if (state == 4)
        repeat(lzo, distance + 2048, 3);
    else
        repeat(lzo, distance, 2);
    return code & 3;
}

/* Instruction `code` from 16 on. The literals to follow, or 5 at the end of the block. */
static size_t match(struct lzo *lzo, size_t code) {
    if (code >= 64) {
        size_t distance = (byte(lzo) << 3) + (code >> 2 & 7) + 1;
        repeat(lzo, distance, code >= 128 ? 5 + (code >> 5 & 3) : 3 + (code >> 5 & 1));
        return code & 3;
    }
    size_t length = 2 + (code >= 32 ? extended(lzo, code & 31, 31) : extended(lzo, code & 7, 7));
    size_t tail = two(lzo);
    size_t distance = (tail >> 2) + (code >= 32 ? 1 : 16384 + ((code & 8) << 11));
    if (code < 32 && distance == 16384)
        return 5;
    repeat(lzo, distance, length);
    return tail & 3;
}

/* The block's bytes, which are exactly `room`. 0 or -EINVAL. */
static int block(const uint8_t *in, size_t size, uint8_t *out, size_t room) {
    struct lzo lzo = {.in = in, .end = in + size, .out = out, .room = room};
    size_t state = 0;
    if (size > 0 && in[0] > 17) {
        size_t first = byte(&lzo) - 17;
        literals(&lzo, first);
        state = first < 4 ? first : 4;
    }
    while (!lzo.bad && state != 5) {
        size_t code = byte(&lzo);
        if (code < 16) {
            size_t follow = small(&lzo, code, state);
            if (state != 0)
                literals(&lzo, follow);
            state = follow;
        } else {
            state = match(&lzo, code);
            if (state < 4)
                literals(&lzo, state);
        }
    }
    return lzo.bad || lzo.used != room ? -EINVAL : 0;
}

/* --- lzop's file format -------------------------------------------------------------- */

enum {
    ADLER_PLAIN = 0x1,
    ADLER_PACKED = 0x2,
    CRC_PLAIN = 0x100,
    CRC_PACKED = 0x200,
    FILTERED = 0x800,
    VERSION_LEVEL = 0x0940, /* the first with a level and the time's high half */
};

struct file {
    const uint8_t *data;
    size_t size, at;
    int bad;
};

/* The next `count` bytes, at most 4, big-endian. */
static uint32_t number(struct file *file, size_t count) {
    uint32_t value = 0;
    if (file->size - file->at < count) {
        file->bad = 1;
        return 0;
    }
    for (size_t i = 0; i < count; i++)
        value = value << 8 | file->data[file->at++];
    return value;
}

static void skip(struct file *file, size_t count) {
    if (file->size - file->at < count)
        file->bad = 1;
    else
        file->at += count;
}

/* The header behind the magic; its flags. */
static uint32_t header(struct file *file) {
    skip(file, 9);
    uint32_t version = number(file, 2);
    skip(file, version >= VERSION_LEVEL ? 6 : 3); /* the library's version, the least version, method, level */
    uint32_t flags = number(file, 4);
    if (flags & FILTERED)
        file->bad = 1;
    skip(file, version >= VERSION_LEVEL ? 12 : 8); /* mode and times */
    skip(file, number(file, 1));                   /* name */
    skip(file, 4);                                 /* the header's sum */
    return flags;
}

/* One block. Its plain size, 0 at the end, or a negative errno. */
static ssize_t next(struct file *file, uint32_t flags, uint8_t *out, size_t room) {
    uint32_t plain = number(file, 4);
    if (plain == 0 || file->bad)
        return file->bad ? -EINVAL : 0;
    uint32_t packed = number(file, 4);
    uint32_t adler = flags & ADLER_PLAIN ? number(file, 4) : 0, crc = flags & CRC_PLAIN ? number(file, 4) : 0;
    if (packed < plain)
        skip(file, (flags & ADLER_PACKED ? 4u : 0u) + (flags & CRC_PACKED ? 4u : 0u));
    if (file->bad || packed > plain || packed > file->size - file->at)
        return -EINVAL;
    if (plain > room)
        return -EFBIG;
    const uint8_t *data = file->data + file->at;
    file->at += packed;
    if (packed == plain)
        memcpy(out, data, plain);
    else if (block(data, packed, out, plain) < 0)
        return -EINVAL;
    if ((flags & ADLER_PLAIN && adler32(1, out, plain) != adler) || (flags & CRC_PLAIN && crc32(0, out, plain) != crc))
        return -EINVAL;
    return (ssize_t) plain;
}

ssize_t inflate_lzo(const uint8_t *in, size_t size, uint8_t *out, size_t room) {
    struct file file = {.data = in, .size = size};
    uint32_t flags = header(&file);
    size_t used = 0;
    for (;;) {
        ssize_t got = file.bad ? -EINVAL : next(&file, flags, out + used, room - used);
        if (got <= 0)
            return got < 0 ? got : (ssize_t) used;
        used += (size_t) got;
    }
}
