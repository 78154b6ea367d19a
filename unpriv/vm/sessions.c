/* Sessions in a VM: commands that go on without a client. The guest's agent keeps them, and what is known of them
 * is in the guest alone: the engine asks (guest/agent/session.h), and remembers nothing. */
#include "internal.h"

#include "../../common/json.h"
#include "guest_sessions.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define ANSWER_MS    15000 /* emulated guests with many processes take a while */
#define GRACE_MS     10000
#define GRACE_MOST   600000
#define REQUIRED_MAX 32
#define WORDS_MAX    (REQUIRED_MAX + 6)
#define IDLE_MS      3000 /* one guest that hangs holds up the look at others so long */

/* One request about sessions. */
struct inquiry {
    struct vm_record r;
    struct vm_live *live;
    const char *session;
    struct guest_session found[GUEST_SESSIONS_MAX];
    char answer[GUEST_SESSIONS_SIZE];
};

/* 0, or -EINVAL: the request's session, which a request for all has not. */
static int session_name(const struct rpc *rpc, const char **name, struct err *e) {
    *name = json_string(rpc->args, "session", e);
    if (!*name)
        return -EINVAL;
    if (vm_label(*name))
        return 0;
    return err_set(e, EINVAL,
                   "\"%.80s\" cannot be a session's name: use 1 to 63 lower-case letters, digits and inner hyphens",
                   *name);
}

static void inquiry_end(struct inquiry *q) {
    if (q && q->live)
        vm_live_drop(q->live);
    free(q);
}

/* The VM of the request. NULL with `e` filled. */
static struct inquiry *inquiry_begin(const struct rpc *rpc, struct err *e) {
    struct inquiry *q = calloc(1, sizeof(*q));
    if (!q) {
        (void) err_set(e, ENOMEM, "out of memory");
        return NULL;
    }
    if (vm_asked(rpc, &q->r, e) == 0 && (q->live = vm_live_up(&q->r, e)) != NULL)
        return q;
    inquiry_end(q);
    return NULL;
}

/* The sessions in the answer, counted, or a negative errno with `e` filled. */
static int ask(struct inquiry *q, const char *const argv[], const struct link_input *input, struct err *e) {
    struct link *link = vm_live_link(q->live, q->r.name, e);
    if (!link)
        return -e->code;
    vm_idle_begin(q->live);
    int rc = link_ask_with(link, argv, input, q->answer, sizeof(q->answer), ANSWER_MS, e);
    vm_idle_end(q->live);
    link_drop(link);
    if (rc >= 0)
        rc = guest_sessions_parse(q->answer, q->found, e);
    return rc < 0 ? err_prefix(e, "VM %s", q->r.name) : rc;
}

/* As ask, of a question that one session is the answer to. */
static int ask_one(struct inquiry *q, const char *const argv[], const struct link_input *input, cJSON **result,
                   struct err *e) {
    int count = ask(q, argv, input, e);
    if (count < 0)
        return count;
    if (count != 1 || strcmp(q->found[0].name, q->session) != 0)
        return err_set(e, EPROTO, "VM %s: the guest's agent answered for another session", q->r.name);
    *result = guest_session_json(&q->found[0]);
    return 0;
}

/* --- start ------------------------------------------------------------------------------- */

/* "require" after what is in `argv` already. */
static int add_required(const struct rpc *rpc, const char *argv[WORDS_MAX], size_t used, struct err *e) {
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(rpc->args, "require");
    const cJSON *item = NULL;
    if (list && !cJSON_IsNull(list) && !cJSON_IsArray(list))
        return err_set(e, EINVAL, "\"require\" must be a list of strings");
    if (cJSON_GetArraySize(list) > REQUIRED_MAX)
        return err_set(e, EINVAL, "\"require\" may name at most %d commands", REQUIRED_MAX);
    cJSON_ArrayForEach(item, list) {
        if (!cJSON_IsString(item) || !item->valuestring[0])
            return err_set(e, EINVAL, "\"require\" must be a list of strings that are not empty");
        argv[used++] = item->valuestring;
    }
    argv[used] = NULL;
    return 0;
}

static int start(struct rpc *rpc, struct inquiry *q, cJSON **result, struct err *e) {
    const char *argv[WORDS_MAX] = {"session", "start", q->session};
    struct vm_command command;
    const char *mode = json_string_or(rpc->args, "stdin_mode", "detached", e);
    if (!mode)
        return -EINVAL;
    if (strcmp(mode, "pipe") != 0 && strcmp(mode, "detached") != 0)
        return err_set(e, EINVAL, "\"stdin_mode\" must be \"pipe\" or \"detached\"");
    argv[3] = mode;
    int rc = add_required(rpc, argv, 4, e);
    if (rc == 0)
        rc = vm_command_asked(rpc, q->r.image, q->r.workspace, 1, &command, e);
    if (rc)
        return rc;
    const struct link_input input = {command.open, command.size};
    rc = ask_one(q, argv, &input, result, e);
    free(command.open);
    return rc;
}

int vm_op_session_start(struct rpc *rpc, cJSON **result, struct err *e) {
    char name[STORE_NAME_MAX];
    const char *wanted = json_string_or(rpc->args, "session", "", e);
    if (!wanted || (wanted[0] && session_name(rpc, &wanted, e)))
        return -EINVAL;
    struct inquiry *q = inquiry_begin(rpc, e);
    if (!q)
        return -e->code;
    if (!wanted[0])
        vm_name_random(name, 1);
    q->session = wanted[0] ? wanted : name;
    int rc = start(rpc, q, result, e);
    inquiry_end(q);
    return rc;
}

/* --- looking and ending -------------------------------------------------------------------- */

int vm_op_session_list(struct rpc *rpc, cJSON **result, struct err *e) {
    static const char *const question[] = {"session", "list", NULL};
    struct inquiry *q = inquiry_begin(rpc, e);
    int count = q ? ask(q, question, NULL, e) : -e->code;
    if (count >= 0) {
        *result = cJSON_CreateObject();
        (void) cJSON_AddStringToObject(*result, "vm", q->r.name);
        cJSON *list = cJSON_AddArrayToObject(*result, "sessions");
        for (int i = 0; i < count; i++)
            (void) cJSON_AddItemToArray(list, guest_session_json(&q->found[i]));
    }
    inquiry_end(q);
    return count < 0 ? count : 0;
}

/* A verb of one session, with a number where it takes one. Answered at once: the guest does the waiting. */
static int one(struct rpc *rpc, const char *verb, const char *number, cJSON **result, struct err *e) {
    const char *session;
    struct inquiry *q = session_name(rpc, &session, e) ? NULL : inquiry_begin(rpc, e);
    if (!q)
        return -e->code;
    const char *const argv[] = {"session", verb, session, number, NULL};
    q->session = session;
    int rc = ask_one(q, argv, NULL, result, e);
    inquiry_end(q);
    return rc;
}

int vm_op_session_show(struct rpc *rpc, cJSON **result, struct err *e) {
    return one(rpc, "show", NULL, result, e);
}

int vm_op_session_stop(struct rpc *rpc, cJSON **result, struct err *e) {
    int64_t grace = GRACE_MS;
    char text[24];
    if (json_integer_or(rpc->args, "grace_ms", 0, GRACE_MOST, &grace, e))
        return -EINVAL;
    (void) snprintf(text, sizeof(text), "%d", (int) grace);
    return one(rpc, "stop", text, result, e);
}

int vm_op_session_kill(struct rpc *rpc, cJSON **result, struct err *e) {
    int64_t number = 9;
    char text[24];
    if (json_integer_or(rpc->args, "signal", 1, 64, &number, e))
        return -EINVAL;
    (void) snprintf(text, sizeof(text), "%d", (int) number);
    return one(rpc, "kill", text, result, e);
}

int vm_sessions_running(struct vm_live *live) {
    static const char *const question[] = {"session", "list", NULL};
    int running = 0;
    struct err e;
    struct inquiry *q = calloc(1, sizeof(*q));
    struct link *link = q ? vm_live_link(live, live->id, &e) : NULL;
    int count = link ? link_ask_with(link, question, NULL, q->answer, sizeof(q->answer), IDLE_MS, NULL) : -1;
    link_drop(link);
    if (count >= 0)
        count = guest_sessions_parse(q->answer, q->found, NULL);
    for (int i = 0; i < count; i++)
        running += q->found[i].state == GUEST_SESSION_RUNNING;
    free(q);
    return count < 0 ? -1 : running;
}

/* --- those with a channel -------------------------------------------------------------------- */

/* A verb whose streams are the client's. */
static int stream(struct rpc *rpc, const char *verb, const char *first, const char *second, cJSON **result,
                  struct err *e) {
    struct vm_record r;
    struct vm_command command;
    const char *session;
    if (session_name(rpc, &session, e))
        return -EINVAL;
    const char *const argv[] = {"session", verb, session, first, second, NULL};
    int rc = vm_asked(rpc, &r, e);
    if (rc == 0)
        rc = vm_command_service(argv, &command, e);
    return rc ? rc : vm_exec_in(rpc, &r, &command, result, e);
}

int vm_op_session_logs(struct rpc *rpc, cJSON **result, struct err *e) {
    const char *which = json_string_or(rpc->args, "stream", "stdout", e);
    if (!which)
        return -EINVAL;
    if (strcmp(which, "stdout") != 0 && strcmp(which, "stderr") != 0)
        return err_set(e, EINVAL, "\"stream\" must be \"stdout\" or \"stderr\"");
    return stream(rpc, "logs", which, json_true(rpc->args, "follow") ? "1" : "0", result, e);
}

int vm_op_session_send(struct rpc *rpc, cJSON **result, struct err *e) {
    return stream(rpc, "send", json_true(rpc->args, "close") ? "1" : "0", NULL, result, e);
}

int vm_op_session_attach(struct rpc *rpc, cJSON **result, struct err *e) {
    const char *who = json_string_or(rpc->args, "who", "a client", e);
    if (!who)
        return -EINVAL;
    if (!who[0] || strlen(who) > 80)
        return err_set(e, EINVAL, "\"who\" must be 1 to 80 bytes");
    return stream(rpc, "attach", who, NULL, result, e);
}
