/* `banger vm cp`: a tree (common/tree.h) between this host and the agent of a VM. */
#include "../../common/cleanup.h"
#include "../../common/fdpass.h"
#include "../../common/tree.h"
#include "client.h"
#include "output.h"
#include "session.h"
#include "vm.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NAMED_MOST 10 /* of what is left out */

struct copy {
    const char *local, *remote;
    char vm[65], base[TREE_NAME_MAX + 1];
    int put;                /* 1: to the VM */
    int ends[2], answer[2]; /* the tree's pipe; the guest's word on what it was sent */
    struct progress progress;
    size_t left_out, unread; /* of these, what ought to have been read */
    int result;              /* of the thread, and what it has to say */
    char said[TREE_SAID];
    struct channel_end end;
};

/* NAME:PATH, with no slash before the colon. */
static int is_remote(const char *word, struct copy *c, const char **path) {
    size_t size = strcspn(word, ":/");
    if (word[size] != ':' || size == 0 || size >= sizeof(c->vm) || word[0] == '.')
        return 0;
    (void) snprintf(c->vm, sizeof(c->vm), "%.*s", (int) size, word);
    *path = word[size + 1] ? word + size + 1 : ".";
    return 1;
}

static int parse(const struct invocation *in, struct copy *c, struct err *e) {
    const char *from = in->arguments[0], *to = in->arguments[1];
    int reads = is_remote(from, c, &c->remote), writes = is_remote(to, c, &c->remote);
    if (reads + writes != 1)
        return err_set(e, EINVAL,
                       reads ? "both are in a VM: copy to this host first, and from there to the other"
                             : "neither is in a VM: write NAME:PATH for what is; ./a:b is a file of this host");
    c->put = writes;
    c->local = writes ? from : to;
    tree_base(writes ? c->local : c->remote, c->base);
    return 0;
}

/* --- the thread at this end of the tree ------------------------------------------- */

/* A sender that sends more than it said is not done before it is. */
static void on_moved(void *arg, uint64_t bytes, uint64_t total) {
    struct copy *c = arg;
    if (total > 0 && bytes >= total)
        bytes = total - 1;
    progress_update(&c->progress, "copy", c->put ? c->local : c->remote, (int64_t) bytes, (int64_t) total);
}

static void on_left_out(void *arg, const char *path, int code) {
    struct copy *c = arg;
    char text[TREE_SAID];
    c->unread += code != 0;
    if (++c->left_out > NAMED_MOST)
        return;
    (void) snprintf(text, sizeof(text), "%.400s is left out: %s", path,
                    code ? strerror(code) : "it is neither file, link nor folder");
    text_sanitize(text);
    progress_warn(&c->progress, text);
}

static void *send_tree(void *arg) {
    struct copy *c = arg;
    struct tree_sender *s = calloc(1, sizeof(*s));
    c->result = -ENOMEM;
    if (s) {
        *s = (struct tree_sender){.fd = c->ends[1], .moved = on_moved, .left_out = on_left_out, .arg = c};
        c->result = tree_send(s, c->local);
        (void) snprintf(c->said, sizeof(c->said), "%s", s->said);
    }
    free(s);
    fdpass_close(&c->ends[1], 1);
    return NULL;
}

static void *receive_tree(void *arg) {
    struct copy *c = arg;
    struct tree_receiver *r = calloc(1, sizeof(*r));
    c->result = -ENOMEM;
    if (r) {
        *r = (struct tree_receiver){
            .fd = c->ends[0], .keep_room = 1, .moved = on_moved, .left_out = on_left_out, .arg = c};
        c->result = tree_receive(r, c->local, c->base);
        (void) snprintf(c->said, sizeof(c->said), "%s", r->said);
    }
    free(r);
    fdpass_close(&c->ends[0], 1);
    return NULL;
}

/* What the guest made of the tree. */
static void read_answer(struct copy *c) {
    struct tree_receiver *r = calloc(1, sizeof(*r));
    if (!r)
        return;
    r->fd = c->answer[0];
    int rc = tree_answered(r);
    if (rc && c->said[0] == 0) {
        c->result = rc;
        (void) snprintf(c->said, sizeof(c->said), "%s", r->said);
    }
    free(r);
}

/* --- the request --------------------------------------------------------------------- */

static int carry(struct copy *c, int channel, struct err *e) {
    cleanup_fd int nothing = open("/dev/null", O_RDWR | O_CLOEXEC);
    const int streams[3] = {c->put ? c->ends[0] : nothing, c->put ? c->answer[1] : c->ends[1], nothing};
    const struct channel_options options = {.input = c->put, .streams = streams};
    pthread_t thread = 0;
    int code = nothing < 0 ? errno : pthread_create(&thread, NULL, c->put ? send_tree : receive_tree, c);
    if (code) {
        (void) close(channel);
        return err_sys(e, code, "cannot start copying");
    }
    int r = channel_run(channel, &options, &c->end, e);
    /* The thread finds its pipe broken, or at its end. */
    fdpass_close(&c->ends[c->put ? 0 : 1], 1);
    fdpass_close(&c->answer[1], 1);
    (void) pthread_join(thread, NULL);
    if (r == 0 && c->put && !c->end.interrupted)
        read_answer(c);
    return r == 0 && c->end.interrupted ? -EINTR : r;
}

static int copy_event(const char *name, const cJSON *line, int fd, void *arg, struct err *e) {
    struct copy *c = arg;
    (void) line;
    if (strcmp(name, "exec") == 0 && fd >= 0)
        return carry(c, fd, e);
    if (fd >= 0)
        (void) close(fd);
    return 0;
}

/* 0, or why nothing or not all was copied. */
static int outcome(struct copy *c, int r, struct err *e) {
    text_sanitize(c->said);
    if (r == -EINTR || (r < 0 && c->said[0] == 0) || (r < 0 && c->result == -EPIPE))
        return r;
    if (c->end.exited && (c->end.status == 126 || c->end.status == 127))
        return err_set(e, EOPNOTSUPP, "the agent of VM %s is older than this banger: `banger vm restart %s` first",
                       c->vm, c->vm);
    if (c->result == 0 && r == 0)
        return 0;
    if (c->result == -EREMOTEIO || (c->put && c->result == -EPIPE))
        return err_set(e, EREMOTEIO, "VM %s: %s", c->vm, c->said[0] ? c->said : "the copy was broken off");
    return c->result ? err_set(e, -c->result, "%s", c->said[0] ? c->said : strerror(-c->result)) : r;
}

static int request(struct copy *c, struct err *e) {
    cJSON *args = client_named(c->vm);
    (void) cJSON_AddStringToObject(args, "path", c->remote);
    if (c->put)
        (void) cJSON_AddStringToObject(args, "from", c->base);
    struct client_call call = {.op = "vm.copy", .args = args, .event = copy_event, .arg = c};
    if (pipe2(c->ends, O_CLOEXEC) || pipe2(c->answer, O_CLOEXEC)) {
        cJSON_Delete(args);
        return err_sys(e, errno, "cannot make a pipe");
    }
    int r = outcome(c, client_request(&call, NULL, e), e);
    fdpass_close(c->ends, 2);
    fdpass_close(c->answer, 2);
    return r;
}

int command_cp(const struct invocation *in) {
    struct err e = {0};
    struct copy c = {.ends = {-1, -1}, .answer = {-1, -1}};
    if (parse(in, &c, &e)) {
        output_error(&e);
        return EXIT_USAGE;
    }
    progress_open(&c.progress, stderr, options_given(in, OPT_QUIET));
    int r = request(&c, &e);
    if (c.left_out > NAMED_MOST)
        progress_line(&c.progress, "%zu in all are left out", c.left_out);
    progress_finish(&c.progress, r < 0);
    if (r < 0)
        return session_failed(r, &e);
    return c.unread ? EXIT_OWN : 0;
}
