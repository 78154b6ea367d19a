#include "volume.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BUFFER_BLOCKS 64u /* 256 KiB a write: larger ones gain nothing */
#define HOLE_LEAST    8u  /* shorter runs of zeros are written: an extent costs more than they do */

int volume_init(struct volume *v, int fd, uint64_t size, uint64_t limit, struct err *e) {
    memset(v, 0, sizeof(*v));
    v->fd = fd;
    v->size = size;
    v->limit = limit;
    v->next = 1 + DESCRIPTOR_BLOCKS;
    v->buffer = malloc((size_t) BUFFER_BLOCKS * BLOCK_SIZE);
    return v->buffer ? 0 : err_set(e, ENOMEM, "There is not enough memory for a write buffer; free some and try again");
}

void volume_free(struct volume *v) {
    free(v->buffer);
    free(v->extents);
    free(v->holes);
    memset(v, 0, sizeof(*v));
    v->fd = -1;
}

int volume_pwrite(int fd, const void *data, size_t size, uint64_t offset, struct err *e) {
    const char *at = data;
    while (size > 0) {
        ssize_t n = pwrite(fd, at, size, (off_t) offset);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && (errno == ENOSPC || errno == EDQUOT || errno == EFBIG))
            return err_set(e, errno,
                           "The host's disk is full or the account's quota is used up; free some space and "
                           "try again");
        if (n <= 0)
            return err_sys(e, n < 0 ? errno : EIO, "The image's file cannot be written");
        at += n;
        offset += (uint64_t) n;
        size -= (size_t) n;
    }
    return 0;
}

int volume_flush(struct volume *v, struct err *e) {
    uint32_t held = v->held;
    v->held = 0;
    return volume_pwrite(v->fd, v->buffer, (size_t) held * BLOCK_SIZE, (uint64_t) v->start * BLOCK_SIZE, e);
}

int volume_group_has_copy(uint32_t group) {
    if (group <= 1)
        return 1;
    for (uint32_t base = 3; base <= 7; base += 2) {
        uint64_t power = base;
        while (power < group)
            power *= base;
        if (power == group)
            return 1;
    }
    return 0;
}

static int append(struct extent **list, uint32_t *count, uint32_t *have, const struct extent *extent, struct err *e) {
    if (*count == *have) {
        uint32_t more = *have ? *have * 2 : 1024;
        struct extent *moved = *count < VOLUME_EXTENTS_MAX ? reallocarray(*list, more, sizeof(**list)) : NULL;
        if (!moved)
            return err_set(e, EFBIG, "The files lie in too many pieces; use files with fewer holes");
        *list = moved;
        *have = more;
    }
    (*list)[(*count)++] = *extent;
    return 0;
}

/* Steps over a copy of the superblock when one lies within the next `blocks`. */
static int step_over(struct volume *v, uint32_t blocks, struct err *e) {
    uint32_t group = (v->next + blocks - 1) / GROUP_BLOCKS;
    uint32_t start = group * GROUP_BLOCKS, past = start + 1 + DESCRIPTOR_BLOCKS;
    if (v->next >= past || !volume_group_has_copy(group))
        return 0;
    const struct extent left = {.physical = v->next, .length = start > v->next ? start - v->next : 0};
    v->next = past;
    return left.length ? append(&v->holes, &v->hole_count, &v->hole_room, &left, e) : 0;
}

static int check_room(const struct volume *v, uint32_t blocks, struct err *e) {
    if ((v->used + blocks) * BLOCK_SIZE > v->limit)
        return err_set(e, EFBIG, "The content is larger than the %llu MiB that are allowed; use a smaller image",
                       (unsigned long long) (v->limit >> 20));
    if (v->size && ((uint64_t) v->next + blocks) * BLOCK_SIZE > v->size)
        return err_set(e, ENOSPC, "The content does not fit on a disk of %llu MiB; ask for a larger one",
                       (unsigned long long) (v->size >> 20));
    if (v->next > VOLUME_BLOCKS_MAX - 2 * GROUP_BLOCKS)
        return err_set(e, EFBIG, "The content is larger than 1 TiB; use a smaller image");
    return 0;
}

int volume_reserve(struct volume *v, uint32_t blocks, uint32_t *physical, struct err *e) {
    int r = check_room(v, blocks, e);
    if (r)
        return r;
    r = step_over(v, blocks, e);
    if (r)
        return r;
    *physical = v->next;
    v->next += blocks;
    v->used += blocks;
    return 0;
}

int volume_put(struct volume *v, const void *block, uint32_t *physical, struct err *e) {
    int r = volume_reserve(v, 1, physical, e);
    if (r == 0 && (v->held == BUFFER_BLOCKS || (v->held && v->start + v->held != *physical)))
        r = volume_flush(v, e);
    if (r)
        return r;
    if (v->held == 0)
        v->start = *physical;
    memcpy(v->buffer + (size_t) v->held * BLOCK_SIZE, block, BLOCK_SIZE);
    v->held++;
    return 0;
}

int volume_note(struct volume *v, const struct extent *extent, struct err *e) {
    return append(&v->extents, &v->extent_count, &v->extent_room, extent, e);
}

static int emit(struct volume *v, uint32_t logical, const void *block, struct err *e) {
    uint32_t physical = 0;
    int r = volume_put(v, block, &physical, e);
    if (r)
        return r;
    if (v->extent_count > v->file) {
        struct extent *last = &v->extents[v->extent_count - 1];
        if (last->logical + last->length == logical && last->physical + last->length == physical &&
            last->length < EXTENT_LENGTH_MAX) {
            last->length++;
            return 0;
        }
    }
    const struct extent fresh = {.logical = logical, .physical = physical, .length = 1};
    return volume_note(v, &fresh, e);
}

static int is_zero(const uint8_t *block) {
    return block[0] == 0 && memcmp(block, block + 1, BLOCK_SIZE - 1) == 0;
}

static int take_block(struct volume *v, const uint8_t *block, struct err *e) {
    static const uint8_t nothing[BLOCK_SIZE];
    uint32_t logical = v->logical++;
    if (is_zero(block)) {
        v->zeros++;
        return 0;
    }
    int r = 0;
    if (v->zeros < HOLE_LEAST && v->extent_count > v->file) {
        for (uint32_t i = v->zeros; i > 0 && r == 0; i--)
            r = emit(v, logical - i, nothing, e);
    }
    v->zeros = 0;
    return r ? r : emit(v, logical, block, e);
}

void volume_begin(struct volume *v) {
    v->file = v->extent_count;
    v->logical = 0;
    v->zeros = 0;
    v->partial = 0;
}

/* Goes forward to `offset`, which leaves a hole. */
static int skip_to(struct volume *v, uint64_t offset, struct err *e) {
    uint64_t at = (uint64_t) v->logical * BLOCK_SIZE + v->partial;
    if (offset < at || offset > VOLUME_FILE_MAX)
        return err_set(e, EINVAL, "The pieces of a sparse file are out of order or too far apart; make it again");
    if (v->partial && offset / BLOCK_SIZE > v->logical) {
        memset(v->block + v->partial, 0, BLOCK_SIZE - v->partial);
        int r = take_block(v, v->block, e);
        if (r)
            return r;
        v->partial = 0;
    }
    uint32_t blocks = (uint32_t) (offset / BLOCK_SIZE) - v->logical;
    v->logical += blocks;
    v->zeros += blocks;
    uint32_t within = (uint32_t) (offset % BLOCK_SIZE);
    memset(v->block + v->partial, 0, within - v->partial);
    v->partial = within;
    return 0;
}

int volume_write(struct volume *v, uint64_t offset, const void *data, size_t size, struct err *e) {
    const uint8_t *at = data;
    int r = size > VOLUME_FILE_MAX ? err_set(e, EFBIG, "A file is too large") : 0;
    if (r == 0 && offset != (uint64_t) v->logical * BLOCK_SIZE + v->partial)
        r = skip_to(v, offset, e);
    if (r == 0 && offset + size > VOLUME_FILE_MAX)
        r = err_set(e, EFBIG, "A file is larger than 16 TiB, which ext4 cannot hold; use a smaller one");
    while (r == 0 && size > 0) {
        if (v->partial == 0 && size >= BLOCK_SIZE) {
            r = take_block(v, at, e);
            at += BLOCK_SIZE;
            size -= BLOCK_SIZE;
            continue;
        }
        size_t part = size < BLOCK_SIZE - v->partial ? size : BLOCK_SIZE - v->partial;
        memcpy(v->block + v->partial, at, part);
        v->partial += (uint32_t) part;
        at += part;
        size -= part;
        if (v->partial == BLOCK_SIZE) {
            v->partial = 0;
            r = take_block(v, v->block, e);
        }
    }
    return r;
}

int volume_end(struct volume *v, uint64_t size, uint32_t *extent, uint32_t *extents, uint32_t *blocks, struct err *e) {
    if (size > VOLUME_FILE_MAX || size < (uint64_t) v->logical * BLOCK_SIZE + v->partial)
        return err_set(e, EFBIG, "A file is larger than it says or than ext4 can hold; make the archive again");
    int r = 0;
    if (v->partial) {
        memset(v->block + v->partial, 0, BLOCK_SIZE - v->partial);
        v->partial = 0;
        r = take_block(v, v->block, e);
    }
    *extent = v->file;
    *extents = v->extent_count - v->file;
    *blocks = 0;
    for (uint32_t i = v->file; i < v->extent_count; i++)
        *blocks += v->extents[i].length;
    return r;
}

int volume_release(struct volume *v, uint32_t extent, uint32_t extents, struct err *e) {
    for (uint32_t i = extent; i < extent + extents; i++) {
        int r = append(&v->holes, &v->hole_count, &v->hole_room, &v->extents[i], e);
        if (r)
            return r;
        v->used -= v->extents[i].length;
    }
    return 0;
}

void volume_punch(const struct volume *v) {
    for (uint32_t i = 0; i < v->hole_count; i++) {
        const struct extent *hole = &v->holes[i];
        off_t start = (off_t) hole->physical * BLOCK_SIZE, length = (off_t) hole->length * BLOCK_SIZE;
        if (fallocate(v->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, start, length) == 0)
            continue;
        static const uint8_t nothing[BLOCK_SIZE];
        for (uint32_t k = 0; k < hole->length; k++)
            (void) volume_pwrite(v->fd, nothing, BLOCK_SIZE, (uint64_t) (start + (off_t) k * BLOCK_SIZE), NULL);
    }
}
