/* Fuzzed: layers on the pipe between fetch and import, the digests made right, so that what
 * is in them counts. Behind LIMIT they may have 1 KiB. The file system that comes out is read again from top to end. */
#include "../unpriv/image/import/blobs.h"
#include "../unpriv/image/import/disk.h"
#include "../unpriv/image/import/sha256.h"
#include "../unpriv/image/stream.h"
#include "image_check.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CUT   "LAYER-ENDS" /* between the layers of an input */
#define LIMIT "LIMIT\n"

/* Pieces of the input, one a layer; no digest is known of what they unpack to. */
struct pieces {
    struct blobs blobs;
    const uint8_t *next, *end;
    const uint8_t *at, *stop; /* of the layer under way */
};

static int next_piece(struct blobs *b, struct blob *out, struct err *e) {
    struct pieces *p = (struct pieces *) b;
    (void) e;
    if (!p->next)
        return 0;
    const uint8_t *cut = memmem(p->next, (size_t) (p->end - p->next), CUT, sizeof(CUT) - 1);
    p->at = p->next;
    p->stop = cut ? cut : p->end;
    p->next = cut ? cut + sizeof(CUT) - 1 : NULL;
    *out = (struct blob){.size = (uint64_t) (p->stop - p->at)};
    return 1;
}

static ssize_t read_piece(struct blobs *b, void *out, size_t size, struct err *e) {
    struct pieces *p = (struct pieces *) b;
    size_t n = (size_t) (p->stop - p->at) < size ? (size_t) (p->stop - p->at) : size;
    (void) e;
    memcpy(out, p->at, n);
    p->at += n;
    return (ssize_t) n;
}

static void as_pieces(const struct import_plan *plan, const uint8_t *data, size_t size) {
    struct pieces pieces = {.blobs = {.next = next_piece, .read = read_piece}, .next = data, .end = data + size};
    struct import_report report = {0};
    struct err e = {0};
    int image = memfd_create("image", MFD_CLOEXEC);
    int r = disk_layers(plan, &pieces.blobs, image, &report, &e);
    if (r == 0)
        image_read_again(image);
    else if (e.code != -r || !e.text[0])
        abort(); /* a failure has its sentence */
    (void) close(image);
}

/* A pipe that cannot be read is told. */
static void unreadable(const struct import_plan *plan) {
    struct blobs_stream stream;
    struct import_report report = {0};
    struct err e = {0};
    int folder = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC), image = memfd_create("image", MFD_CLOEXEC);
    blobs_stream(&stream, folder);
    if (disk_layers(plan, &stream.blobs, image, &report, &e) != -EISDIR || !e.text[0])
        abort();
    (void) close(folder);
    (void) close(image);
}

static void as_stream(const struct import_plan *plan, const uint8_t *data, size_t size) {
    struct blobs_stream stream;
    struct import_report report = {0};
    struct err e = {0};
    int in = memfd_create("layers", MFD_CLOEXEC), image = memfd_create("image", MFD_CLOEXEC);
    if (in < 0 || write(in, data, size) != (ssize_t) size || lseek(in, 0, SEEK_SET))
        abort();
    blobs_stream(&stream, in);
    int r = disk_layers(plan, &stream.blobs, image, &report, &e);
    if (r == 0)
        image_read_again(image);
    else if (e.code != -r || !e.text[0])
        abort();
    (void) close(in);
    (void) close(image);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static int once;
    struct import_plan plan = {.magic = IMPORT_PLAN_MAGIC, .mode = IMPORT_LAYERS, .size = 32 << 20, .limit = 24 << 20};
    uint32_t magic = 0;
    if (!once++)
        unreadable(&plan);
    if (size >= sizeof(LIMIT) && memcmp(data, LIMIT, sizeof(LIMIT) - 1) == 0) {
        plan.limit = 1 << 10;
        data += sizeof(LIMIT) - 1;
        size -= sizeof(LIMIT) - 1;
    }
    if (size >= sizeof(magic))
        memcpy(&magic, data, sizeof(magic));
    if (magic == STREAM_MAGIC)
        as_stream(&plan, data, size);
    else
        as_pieces(&plan, data, size);
    return 0;
}
