/* Compares the policy's parser and decision with a second one in another language
 * (model.py): a policy, an account, then a sequence of requests with what their
 * descriptors are. Input: a byte for the length of the policy's text in units of 4, the text, then numbers. */
#include "../common/fdpass.h"
#include "../policy/policy.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define REQUESTS_MAX 8
#define CASE_MAX     65536

static struct input {
    const uint8_t *at;
    size_t left;
} in;
static char text[CASE_MAX];
static size_t used;
static FILE *to_model, *from_model;

static uint8_t byte(void) {
    if (in.left == 0)
        return 0;
    in.left--;
    return *in.at++;
}

static uint64_t number(int bytes) {
    uint64_t n = 0;
    while (bytes-- > 0)
        n = n << 8 | byte();
    return n;
}

/* One of the values that matter, or any of the size. */
#define PICK(bytes, ...) pick((const uint64_t[]){__VA_ARGS__}, sizeof((uint64_t[]){__VA_ARGS__}) / 8, bytes)
static uint64_t pick(const uint64_t *values, size_t count, int bytes) {
    uint8_t which = byte();
    return which < 200 ? values[which % count] : number(bytes);
}

static void say(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void say(const char *format, ...) {
    va_list args;
    va_start(args, format);
    int n = vsnprintf(text + used, sizeof(text) - used, format, args);
    va_end(args);
    if (n < 0 || (size_t) n >= sizeof(text) - used)
        abort();
    used += (size_t) n;
}

static void start_model(void) {
    int to[2], from[2];
    if (pipe2(to, O_CLOEXEC) || pipe2(from, O_CLOEXEC))
        abort();
    pid_t pid = fork();
    if (pid == 0) {
        (void) dup2(to[0], 0);
        (void) dup2(from[1], 1);
        (void) execlp("python3", "python3", "fuzz/model.py", (char *) NULL);
        _exit(127);
    }
    (void) close(to[0]);
    (void) close(from[1]);
    to_model = fdopen(to[1], "w");
    from_model = fdopen(from[0], "r");
    (void) signal(SIGPIPE, SIG_IGN);
}

/* --- a case ---------------------------------------------------------------------- */

static uint32_t make_policy(struct policy *policy) {
    size_t length = (size_t) byte() * 4;
    length = length < in.left ? length : in.left;
    uint32_t bad = policy_parse(policy, (const char *) in.at, length);
    say("{\"policy\":\"");
    for (size_t i = 0; i < length; i++)
        say("%02x", in.at[i]);
    in.at += length;
    in.left -= length;
    return bad;
}

static struct policy_fd make_fd(uid_t uid) {
    struct policy_fd fd = {
        .st.st_mode = (mode_t) PICK(2, S_IFREG, S_IFDIR, S_IFCHR, S_IFSOCK, S_IFBLK, S_IFIFO),
        .st.st_rdev = (dev_t) PICK(2, makedev(10, 200), makedev(10, 232), 0),
        .st.st_uid = (uid_t) PICK(4, uid, 0, 1000),
        .flags = (int) PICK(2, O_RDWR, O_RDONLY, O_WRONLY, O_PATH, O_RDWR | O_APPEND),
        .seals = (int) PICK(1, (uint64_t) -1, 0, F_SEAL_WRITE, F_SEAL_FUTURE_WRITE, F_SEAL_SEAL),
        .socket_domain = (int) PICK(1, AF_UNIX, AF_INET, (uint64_t) -1),
        .socket_type = (int) PICK(1, SOCK_STREAM, SOCK_DGRAM, (uint64_t) -1),
        .listening = (int) PICK(1, 1, 0) & 1,
        .magic = (uint32_t) PICK(4, EXT4_SUPER_MAGIC, XFS_SUPER_MAGIC, TMPFS_MAGIC, CGROUP2_SUPER_MAGIC,
                                 NFS_SUPER_MAGIC, NSFS_MAGIC),
        .st.st_size = (off_t) PICK(4, 4096, 1 << 20, 0, wire_snap_overlay(4096), wire_snap_overlay(1 << 20)),
        .st.st_blocks = (blkcnt_t) (PICK(4, wire_snap_overlay(4096), wire_snap_overlay(1 << 20), 0) / 512),
        .st.st_dev = (dev_t) PICK(1, 1, 2),
        .st.st_ino = (ino_t) PICK(1, 3, 4),
    };
    say("{\"mode\":%u,\"rdev\":%lu,\"uid\":%u,\"flags\":%d,\"seals\":%d,\"domain\":%d,\"type\":%d,\"listening\":%d,"
        "\"magic\":%u,\"size\":%ld,\"reserved\":%ld,\"dev\":%lu,\"ino\":%lu}",
        fd.st.st_mode, fd.st.st_rdev, fd.st.st_uid, fd.flags, fd.seals, fd.socket_domain, fd.socket_type, fd.listening,
        fd.magic, fd.st.st_size, fd.st.st_blocks * 512, fd.st.st_dev, fd.st.st_ino);
    return fd;
}

static void make_request(struct wire_request *r) {
    r->op = 1 + byte() % WIRE_VMM_SPAWN;
    r->slot = r->op == WIRE_NET_LIST || r->op == WIRE_SNAP_LIST ? 0 : (uint32_t) PICK(2, 0, 1, 31, 32, 999) % SLOT_MAX;
    if (r->op == WIRE_NET_UP)
        r->kind = byte() % WIRE_TAP_KINDS;
    if (r->op == WIRE_NET_EGRESS)
        r->kind = byte() % 4;
    if (r->op == WIRE_VMM_SPAWN) {
        r->kind = byte() % POLICY_VMMS_MAX;
        r->style = byte() % SPAWN_STYLES;
        r->in_cgroup = byte() % 2;
        r->memory_mib = (uint32_t) PICK(4, 512, 0, 4096, 4097);
        r->vcpus = (uint32_t) PICK(4, 1, 0, 8, 9);
    }
    say("{\"op\":%u,\"slot\":%u,\"kind\":%u,\"style\":%u,\"cgroup\":%u,\"memory\":%u,\"vcpus\":%u,\"cidrs\":[", r->op,
        r->slot, r->kind, r->style, r->in_cgroup, r->memory_mib, r->vcpus);
    if (r->op == WIRE_NET_EGRESS && r->kind >= WIRE_EGRESS_LIST)
        r->cidr_count = byte() % 4;
    for (uint32_t i = 0; i < r->cidr_count; i++) {
        struct wire_cidr *c = &r->cidrs[i];
        *c = (struct wire_cidr){.address =
                                    (uint32_t) PICK(4, 0x08080000, 0x0a000000, 0xc0a80a00, 0x0a010200, 0, 0x7f000001),
                                .prefix = (uint32_t) PICK(1, 32, 24, 16, 8, 1, 0, 33),
                                .lifetime = (uint32_t) PICK(4, 0, 60, 86400, 86401)};
        say("%s{\"address\":%u,\"prefix\":%u,\"lifetime\":%u}", i ? "," : "", c->address, c->prefix, c->lifetime);
    }
    say("],\"fds\":[");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static struct policy policy;
    enum policy_reason reasons[REQUESTS_MAX];
    size_t count = 0;
    unsigned long theirs = 0;
    if (!to_model)
        start_model();
    in = (struct input){data, size};
    used = 0;
    uint32_t bad = make_policy(&policy);
    const uid_t uid = (uid_t) PICK(4, 1000, 1001, 0, 65534, UINT32_MAX, 2023, 2024);
    const gid_t gids[] = {(gid_t) PICK(4, 990, 0, 100), (gid_t) PICK(4, 990, 27)};
    const struct policy_who who = {.uid = uid, .gids = gids, .gid_count = 2};
    say("\",\"uid\":%u,\"gids\":[%u,%u],\"requests\":[", uid, gids[0], gids[1]);
    while (in.left > 0 && count < REQUESTS_MAX) {
        struct wire_request request = {0};
        struct policy_fd fds[FDPASS_MAX];
        if (count > 0)
            say(",");
        make_request(&request);
        for (uint32_t i = 0; i < wire_request_fds(&request); i++) {
            if (i > 0)
                say(",");
            fds[i] = make_fd(uid);
        }
        say("]}");
        reasons[count++] = policy_decide(&policy, &who, &request, fds);
    }
    say("]}\n");
    if (fwrite(text, 1, used, to_model) != used || fflush(to_model) || fscanf(from_model, "%lu", &theirs) != 1)
        abort();
    int same = theirs == bad;
    for (size_t i = 0; i < count; i++)
        same &= fscanf(from_model, "%lu", &theirs) == 1 && theirs == reasons[i];
    if (!same) {
        (void) fprintf(stderr, "policy and model differ on: %sours: %u", text, bad);
        for (size_t i = 0; i < count; i++)
            (void) fprintf(stderr, " %u", reasons[i]);
        (void) fprintf(stderr, "\n");
        abort();
    }
    return 0;
}
