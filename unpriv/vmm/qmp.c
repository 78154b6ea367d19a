#include "qmp.h"

#include "../../common/io.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

struct qmp {
    int fd;
    long long deadline; /* io_now_ms */
    size_t have;
    char *bytes; /* QMP_LINE_MAX */
};

enum qmp_kind qmp_parse(const char *line, size_t size, cJSON **object) {
    static const struct {
        const char *member;
        enum qmp_kind kind;
        int (*type)(const cJSON *);
    } kinds[] = {{"return", QMP_RETURN, NULL},
                 {"error", QMP_ERROR, cJSON_IsObject},
                 {"event", QMP_EVENT, cJSON_IsString},
                 {"QMP", QMP_GREETING, cJSON_IsObject}};
    *object = cJSON_ParseWithLengthOpts(line, size, NULL, 0);
    for (size_t i = 0; *object && i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        const cJSON *member = cJSON_GetObjectItemCaseSensitive(*object, kinds[i].member);
        if (cJSON_IsObject(*object) && member && (!kinds[i].type || kinds[i].type(member)))
            return kinds[i].kind;
    }
    cJSON_Delete(*object);
    *object = NULL;
    return QMP_BAD;
}

/* More bytes into the buffer, or a negative errno. */
static int fill(struct qmp *q, struct err *e) {
    long long left = q->deadline - io_now_ms();
    int r = left > 0 ? io_wait(q->fd, POLLIN, (int) left) : -ETIMEDOUT;
    if (r)
        return err_sys(e, -r, "the VMM does not answer");
    if (q->have == QMP_LINE_MAX)
        return err_set(e, EMSGSIZE, "the VMM's answer is too long");
    ssize_t n = recv(q->fd, q->bytes + q->have, QMP_LINE_MAX - q->have, MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return 0;
    if (n < 0)
        return err_sys(e, errno, "cannot read the VMM's answer");
    if (n == 0)
        return err_set(e, ECONNRESET, "the VMM has ended");
    q->have += (size_t) n;
    return 0;
}

/* The next line that is not an event. */
static int next(struct qmp *q, enum qmp_kind *kind, cJSON **object, struct err *e) {
    for (;;) {
        char *end = memchr(q->bytes, '\n', q->have);
        if (!end) {
            int r = fill(q, e);
            if (r)
                return r;
            continue;
        }
        *kind = qmp_parse(q->bytes, (size_t) (end - q->bytes), object);
        q->have -= (size_t) (end - q->bytes) + 1;
        (void) memmove(q->bytes, end + 1, q->have);
        if (*kind == QMP_BAD)
            return err_set(e, EPROTO, "the VMM's answer cannot be read");
        if (*kind != QMP_EVENT)
            return 0;
        cJSON_Delete(*object);
        *object = NULL;
    }
}

static int expect(struct qmp *q, enum qmp_kind wanted, cJSON **result, struct err *e) {
    enum qmp_kind kind = QMP_BAD;
    cJSON *object = NULL;
    int r = next(q, &kind, &object, e);
    if (r == 0 && kind != wanted) {
        const cJSON *error = cJSON_GetObjectItemCaseSensitive(object, "error");
        const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(error, "desc"));
        r = err_set(e, EPROTO, "the VMM refuses: %s", text ? text : "no reason given");
    }
    if (r == 0 && result)
        *result = object;
    else
        cJSON_Delete(object);
    return r;
}

static int say(struct qmp *q, const char *command, struct err *e) {
    char line[128];
    int n = snprintf(line, sizeof(line), "{\"execute\":\"%s\"}\n", command);
    if (n < 0 || (size_t) n >= sizeof(line))
        return err_set(e, EINVAL, "the VMM has no command of that name");
    ssize_t sent = send(q->fd, line, (size_t) n, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent != n) /* the buffer of a fresh connection takes a line */
        return err_sys(e, sent < 0 ? errno : EAGAIN, "the VMM does not take a command");
    return 0;
}

static int greet(struct qmp *q, struct err *e) {
    int r = expect(q, QMP_GREETING, NULL, e);
    if (r == 0)
        r = say(q, "qmp_capabilities", e);
    return r ? r : expect(q, QMP_RETURN, NULL, e);
}

static int run(struct qmp *q, const char *command, cJSON **result, struct err *e) {
    int r = say(q, command, e);
    return r ? r : expect(q, QMP_RETURN, result, e);
}

static int open_qmp(struct qmp *q, int fd, int timeout_ms, struct err *e) {
    *q = (struct qmp){.fd = fd, .deadline = io_now_ms() + timeout_ms, .bytes = malloc(QMP_LINE_MAX)};
    return q->bytes ? greet(q, e) : err_set(e, ENOMEM, "out of memory");
}

int qmp_run(int fd, const char *command, int timeout_ms, cJSON **result, struct err *e) {
    struct qmp q;
    int r = open_qmp(&q, fd, timeout_ms, e);
    if (r == 0)
        r = run(&q, command, result, e);
    free(q.bytes);
    return r;
}

static int read_status(const cJSON *answer, char text[32], struct err *e) {
    const cJSON *inner = cJSON_GetObjectItemCaseSensitive(answer, "return");
    const char *status = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(inner, "status"));
    if (!status)
        return err_set(e, EPROTO, "the VMM's answer has no status");
    (void) snprintf(text, 32, "%s", status);
    text_sanitize(text);
    return 0;
}

int qmp_status(int fd, int timeout_ms, char text[32], struct err *e) {
    struct qmp q;
    int r = open_qmp(&q, fd, timeout_ms, e);
    do {
        cJSON *answer = NULL;
        if (r == 0)
            r = run(&q, "query-status", &answer, e);
        if (r == 0)
            r = read_status(answer, text, e);
        cJSON_Delete(answer);
    } while (r == 0 && q.have > 0);
    free(q.bytes);
    return r;
}
