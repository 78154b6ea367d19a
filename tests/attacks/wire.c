/* Lines 6, 9, 10, 11, 29 and 35: messages. */
#include "attack.h"

#include "../../common/fdpass.h"
#include "../../common/io.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

/* What a message did: 1 answered, 0 the helper ended with its sentence, -1 otherwise. */
static int outcome(struct lab_helper *h, enum wire_worker worker, const void *data, size_t size,
                   struct wire_reply *reply) {
    int fd = -1;
    size_t count = 0;
    if (send(socket_of(h, worker), data, size, MSG_NOSIGNAL) < 0 || io_wait(socket_of(h, worker), POLLIN, 5000))
        return -1;
    ssize_t n = fdpass_recv(socket_of(h, worker), reply, sizeof(*reply), &fd, 1, &count);
    if (fd >= 0)
        close(fd);
    if (n == (ssize_t) sizeof(*reply))
        return 1;
    return ends_saying(h, size ? MALFORMED : "") ? 0 : -1;
}

/* A fresh helper gets one message: 1 when that ended it, with its sentence and nothing made. */
static int dies_of(enum wire_worker worker, const void *data, size_t size) {
    struct wire_reply reply;
    struct lab_helper h = start(ALICE);
    int r = outcome(&h, worker, data, size, &reply);
    if (r == 1)
        lab_end(&h);
    return r == 0;
}
static int dies(enum wire_worker worker, const struct wire_request *rq) {
    return dies_of(worker, rq, sizeof(*rq));
}

/* The same with as many descriptors as a request of that kind has. */
static int dies_with(enum wire_worker worker, const struct wire_request *rq, size_t count) {
    struct lab_helper h = start(ALICE);
    int fds[FDPASS_MAX];
    for (size_t i = 0; i < count; i++)
        fds[i] = memfd_create("x", MFD_CLOEXEC);
    int r = ask(&h, worker, rq, fds, count);
    fdpass_close(fds, count);
    if (r != GONE) {
        lab_end(&h);
        return 0;
    }
    return ends_saying(&h, MALFORMED);
}

/* --- line 6: verbs ------------------------------------------------------------------------ */

static void unknown_verbs(void) {
    static const uint32_t ops[] = {
        0,          9,          10,        11,  12,  13,  14,    15,    16,    17,       31,
        32,         63,         64,        255, 256, 257, 65535, 65536, 65537, 1u << 31, (1u << 31) + 1,
        0x7fffffff, 0xfffffffe, 0xffffffff};
    for (size_t i = 0; i < sizeof(ops) / sizeof(ops[0]); i++) {
        struct wire_request rq = request((enum wire_op) ops[i], 0, 0);
        for (int w = 0; w < WIRE_WORKERS; w++)
            expect(dies((enum wire_worker) w, &rq), "operation %u on worker %d", ops[i], w);
    }
}

/* The eight are a reviewed number: each is taken by one worker, and by no other. */
static void others_verbs(void) {
    static const enum wire_worker owner[] = {0,         WIRE_NET,  WIRE_NET,  WIRE_NET, WIRE_NET,
                                             WIRE_DISK, WIRE_DISK, WIRE_DISK, WIRE_VMM};
    int pairs = 0;
    for (uint32_t op = 1; op <= WIRE_VMM_SPAWN; op++) {
        struct wire_request rq = request((enum wire_op) op, 0, 0);
        int fds[SPAWN_ROLES];
        size_t count = wire_request_fds(&rq);
        for (int w = 0; w < WIRE_WORKERS; w++) {
            struct lab_helper h = start(ALICE);
            for (size_t i = 0; i < count; i++)
                fds[i] = memfd_create("x", MFD_CLOEXEC);
            int r = ask(&h, (enum wire_worker) w, &rq, fds, count);
            fdpass_close(fds, count);
            expect((r != GONE) == (owner[op] == (enum wire_worker) w), "operation %u on worker %d: %d", op, w, r);
            if (r == GONE)
                expect(ends_saying(&h, MALFORMED), "operation %u on worker %d", op, w);
            else
                lab_end(&h);
            pairs++;
        }
        clean(ALICE);
    }
    expect(pairs == 24, "there are other operations now: review them");
}

/* --- lines 9 and 11: fields --------------------------------------------------------------------- */

static void forged_kinds(void) {
    static const struct {
        uint32_t op, kind, style, in_cgroup;
    } forged[] = {{WIRE_NET_UP, 4, 0, 0},     {WIRE_NET_UP, 7, 0, 0},         {WIRE_NET_UP, 0x80000000u, 0, 0},
                  {WIRE_NET_EGRESS, 4, 0, 0}, {WIRE_NET_EGRESS, 0x101, 0, 0}, {WIRE_NET_EGRESS, 0xffffffffu, 0, 0},
                  {WIRE_NET_DOWN, 1, 0, 0},   {WIRE_NET_LIST, 1, 0, 0},       {WIRE_NET_UP, 0, 1, 0},
                  {WIRE_NET_UP, 0, 0, 1},     {WIRE_NET_EGRESS, 1, 2, 0}};
    for (size_t i = 0; i < sizeof(forged) / sizeof(forged[0]); i++) {
        struct wire_request rq = request((enum wire_op) forged[i].op, 0, forged[i].kind);
        rq.style = forged[i].style;
        rq.in_cgroup = forged[i].in_cgroup;
        expect(dies(WIRE_NET, &rq), "operation %u kind %x style %u cgroup %u", forged[i].op, forged[i].kind,
               forged[i].style, forged[i].in_cgroup);
    }
    clean(ALICE);
}

static void forged_styles(void) {
    static const uint32_t styles[] = {3, 4, 5, 6, 7, 0x80000002u, 0xffffffffu};
    for (size_t i = 0; i < 7; i++) {
        struct wire_request rq = request(WIRE_VMM_SPAWN, 0, 0);
        rq.style = styles[i];
        expect(dies(WIRE_VMM, &rq), "style %x", styles[i]);
        rq = request(WIRE_VMM_SPAWN, 0, POLICY_VMMS_MAX + (styles[i] & 7));
        expect(dies_with(WIRE_VMM, &rq, SPAWN_FDS), "VMM %u", rq.kind);
    }
    for (uint32_t in_cgroup = 2; in_cgroup < 6; in_cgroup++) {
        struct wire_request rq = request(WIRE_VMM_SPAWN, 0, 0);
        rq.style = SPAWN_TRIAL;
        rq.in_cgroup = in_cgroup;
        expect(dies_with(WIRE_VMM, &rq, SPAWN_TRIAL_FDS + in_cgroup), "in_cgroup %u", in_cgroup);
    }
}

static void unused_fields(void) {
    struct wire_request good = request(WIRE_NET_LIST, 0, 0);
    static const size_t offsets[] = {
        offsetof(struct wire_request, slot),       offsetof(struct wire_request, kind),
        offsetof(struct wire_request, style),      offsetof(struct wire_request, in_cgroup),
        offsetof(struct wire_request, memory_mib), offsetof(struct wire_request, vcpus),
        offsetof(struct wire_request, cidr_count), offsetof(struct wire_request, cidrs)};
    for (size_t i = 0; i < sizeof(offsets) / sizeof(offsets[0]); i++) {
        struct wire_request rq = good;
        ((unsigned char *) &rq)[offsets[i] + (i & 3)] = 1;
        expect(dies(WIRE_NET, &rq), "the byte at %zu", offsets[i] + (i & 3));
    }
}

static void slot_numbers(void) {
    static const uint32_t slots[] = {SLOT_MAX, SLOT_MAX + 1, 4096, 0x7fffffff, 0x80000000u, 0xffffffffu, 0x10000};
    for (size_t i = 0; i < sizeof(slots) / sizeof(slots[0]); i++) {
        struct wire_request rq = request(WIRE_NET_UP, slots[i], 0);
        expect(dies(WIRE_NET, &rq), "slot %u", slots[i]);
    }
    lab_policy(ALLOW "pool 172.16.0.0/12 61000\nslots 1000\n");
    struct lab_helper h = start(ALICE);
    struct guest g = lab_up(&h, ALICE, SLOT_MAX - 1);
    expect(g.fd >= 0 && interface_exists("bt0000ee483e7") && (g.address & 255) == 233, "slot 999 is not its own");
    (void) ask_net(&h, WIRE_NET_DOWN, SLOT_MAX - 1, 0);
    close(g.fd);
    lab_end(&h);
}

static void counts(void) {
    struct wire_request rq = request(WIRE_NET_EGRESS, 0, WIRE_EGRESS_LIST);
    rq.cidr_count = WIRE_CIDR_MAX + 1;
    expect(dies(WIRE_NET, &rq), "33 ranges");
    rq.cidr_count = 0xffffffffu;
    expect(dies(WIRE_NET, &rq), "2^32-1 ranges");
    rq.cidr_count = 1u << 30; /* times 12 it is a small number again */
    expect(dies(WIRE_NET, &rq), "2^30 ranges");
    rq.cidr_count = 1;
    rq.cidrs[1].prefix = 8;
    expect(dies(WIRE_NET, &rq), "a range beyond the count");
    rq = request(WIRE_NET_EGRESS, 0, WIRE_EGRESS_NAT);
    rq.cidr_count = 1;
    expect(dies(WIRE_NET, &rq), "a range without a list");
}

/* --- line 10: frames ----------------------------------------------------------------------------- */

static void lengths(void) {
    struct wire_request twice[2] = {request(WIRE_NET_UP, 0, 0), request(WIRE_NET_UP, 1, 0)};
    for (size_t size = 0; size <= sizeof(twice); size += size < 64 || (size > 430 && size < 450) ? 1 : 7) {
        if (size == sizeof(struct wire_request))
            continue;
        expect(dies_of(WIRE_NET, twice, size), "%zu bytes", size);
        expect(!interface_exists(tap(ALICE, 0)), "%zu bytes make a tap", size);
    }
    expect(dies_of(WIRE_NET, twice, sizeof(twice)), "two requests in one message");
}

static void versions(void) {
    for (uint32_t v = 0; v < 17; v++) {
        struct wire_request rq = request(WIRE_NET_LIST, 0, 0);
        rq.version = (uint16_t) (v < 16 ? v : 0xffff);
        if (rq.version != WIRE_VERSION)
            expect(dies(WIRE_NET, &rq), "version %u", rq.version);
        rq = request(WIRE_NET_LIST, 0, 0);
        rq.size = (uint16_t) (rq.size ^ 1u << (v & 15));
        expect(dies(WIRE_NET, &rq), "size %u", rq.size);
    }
}

static void reserved(void) {
    for (unsigned bit = 0; bit < 96; bit++) {
        struct wire_request rq = request(WIRE_NET_LIST, 0, 0);
        rq.reserved[bit / 32] = 1u << bit % 32;
        expect(dies(WIRE_NET, &rq), "reserved bit %u", bit);
    }
}

static int is_id(unsigned bit) {
    return bit / 8 >= offsetof(struct wire_request, op_id) && bit / 8 < offsetof(struct wire_request, slot);
}

/* A valid NET_UP with each bit turned once (of the id every 8th, of the ranges every 11th): the helper ends, denies, or
 * does a thing of this account's slots. The other account's tap and bridge stay what they are. */
static void bit_flips(void) {
    struct lab_helper bobs = start(BOB), h = start(ALICE);
    struct guest other = lab_up(&bobs, BOB, 0);
    unsigned answered = 0, ended = 0, strange = 0;
    for (unsigned bit = 0; bit < 8 * sizeof(struct wire_request); bit += is_id(bit) ? 8 : bit < 56 * 8 ? 1 : 11) {
        struct wire_request rq = request(WIRE_NET_UP, 0, 0);
        struct wire_reply reply = {0};
        ((unsigned char *) &rq)[bit / 8] ^= (unsigned char) (1u << bit % 8);
        int r = outcome(&h, WIRE_NET, &rq, sizeof(rq), &reply);
        if (r == 1) {
            answered++;
            strange += reply.verdict == WIRE_DONE && (reply.op != rq.op || reply.op_id != rq.op_id);
            (void) ask_net(&h, WIRE_NET_DOWN, 0, 0);
        } else {
            ended += r == 0;
            strange += r != 0;
            h = start(ALICE);
        }
    }
    expect(strange == 0, "%u bits have neither an answer nor an end", strange);
    /* op_id is free, of slot 10 bits; op 1 becomes 3, 0 or 5 on, and kind 0 becomes 1. */
    expect(answered >= 8 && answered <= 8 + 14 && ended > 500, "%u answered, %u ended", answered, ended);
    expect(guest_resolve(&other), "the other account's guest has no network any more");
    expect(slots_of(&bobs) == 1, "the other account's slots changed");
    lab_end(&h);
    clean(ALICE);
    (void) ask_net(&bobs, WIRE_NET_DOWN, 0, 0);
    close(other.fd);
    lab_end(&bobs);
}

static void byte_by_byte(void) {
    struct wire_request rq = request(WIRE_NET_UP, 0, 0);
    struct lab_helper h = start(ALICE);
    for (size_t i = 0; i < sizeof(rq); i++) {
        if (send(h.net, (char *) &rq + i, 1, MSG_NOSIGNAL | MSG_DONTWAIT) != 1)
            break;
    }
    expect(ends_saying(&h, MALFORMED), "single bytes do not end it");
    expect(!interface_exists(tap(ALICE, 0)), "single bytes become a request");
}

/* Ten requests before the first answer: one answer each, in order. */
static void pipelined(void) {
    struct lab_helper h = start(ALICE);
    for (uint64_t i = 0; i < 10; i++) {
        struct wire_request rq = request(WIRE_NET_LIST, 0, 0);
        rq.op_id = i << 56 | i;
        expect(send(h.net, &rq, sizeof(rq), 0) == (ssize_t) sizeof(rq), "cannot send");
    }
    for (uint64_t i = 0; i < 10; i++) {
        struct wire_reply reply = {0};
        expect(recv(h.net, &reply, sizeof(reply), 0) == (ssize_t) sizeof(reply) && reply.op_id == (i << 56 | i) &&
                   reply.version == WIRE_VERSION && reply.size == sizeof(reply),
               "answer %d is another's", (int) i);
    }
    expect(!readable(h.net, 100), "there are more answers");
    lab_end(&h);
}

static void empty_message(void) {
    struct lab_helper h = start(ALICE);
    struct guest g = lab_up(&h, ALICE, 0);
    expect(send(h.net, "", 0, 0) == 0 && ends_saying(&h, ""), "an empty message does not end it");
    struct lab_helper next = start(ALICE);
    expect(slots_of(&next) == 1, "it took the live slot down");
    (void) ask_net(&next, WIRE_NET_DOWN, 0, 0);
    close(g.fd);
    lab_end(&next);
}

/* --- lines 29 and 35 -------------------------------------------------------------------------------- */

static void op_ids(void) {
    static const uint64_t ids[] = {0, ~0ull, 1ull << 63, 0x0a0d1b5b41000000ull, 0};
    struct lab_helper h = start(ALICE);
    for (size_t i = 0; i < 5; i++) {
        struct wire_request rq = request(WIRE_NET_LIST, 0, 0);
        struct wire_reply reply = {0};
        rq.op_id = ids[i];
        expect(exchange(&h, WIRE_NET, &rq, NULL, 0, &reply, NULL) == 0 && reply.op_id == ids[i] &&
                   reply.verdict == WIRE_DONE,
               "the id %llx", (unsigned long long) ids[i]);
    }
    lab_end(&h);
}

/* What an engine of another version sends: older and shorter, newer and longer. */
static void other_versions(void) {
    unsigned char bytes[1024] = {0};
    static const uint16_t sizes[] = {48, 56, 120, 432, 448, 1024};
    for (uint16_t version = 0; version <= WIRE_VERSION + 1; version++) {
        for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
            struct wire_request rq = request(WIRE_NET_UP, 0, 0);
            rq.version = version;
            rq.size = sizes[i];
            memcpy(bytes, &rq, sizeof(rq));
            expect(dies_of(WIRE_NET, bytes, sizes[i]), "version %u of %u bytes", version, sizes[i]);
        }
    }
    expect(!interface_exists(tap(ALICE, 0)), "one of them made a tap");
    struct wire_request rq = request(WIRE_NET_UP, 0, 0);
    rq.version = WIRE_VERSION + 1;
    struct lab_helper h = start(ALICE);
    expect(send(h.net, &rq, sizeof(rq), 0) > 0 && ends_saying(&h, "must be of one version"), "it does not say why");
}

const struct attack wire_attacks[] = {
    {"6.1 unknown, reserved and retired operations on each worker", unknown_verbs},
    {"6.2 each operation on each worker: eight are taken, by one each", others_verbs},
    {"9.1 forged kinds: bits beyond the list, and kinds of other operations", forged_kinds},
    {"9.2 forged styles, VMM numbers and cgroup flags", forged_styles},
    {"9.3 a field that the operation does not use", unused_fields},
    {"10.1 every length from 0 to twice a request", lengths},
    {"10.2 every version, and every size in the header", versions},
    {"10.3 every reserved bit", reserved},
    {"10.4 every bit of a valid request turned", bit_flips},
    {"10.5 a request byte by byte", byte_by_byte},
    {"10.6 ten requests at once: ten answers in order", pipelined},
    {"10.7 an empty message", empty_message},
    {"11.1 slots from 1000 to 2^32-1", slot_numbers},
    {"11.2 counts of ranges that overflow", counts},
    {"29.1 operation ids at their ends, and repeated", op_ids},
    {"35.1 requests of older and newer versions", other_versions},
    {NULL, NULL}};
