#include "guest_sessions.h"

#include "internal.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

enum kind { NAME, STATE, NUMBER, INPUT, TEXT };

/* The lines of a session, in their order; the last is there only while somebody is attached. */
static const struct line {
    const char *key;
    enum kind kind;
    size_t at, size; /* of the member; of a number the size is not used */
    int64_t most;
} lines[] = {
    {"session", NAME, offsetof(struct guest_session, name), GUEST_SESSION_NAME_MAX, 0},
    {"state", STATE, 0, 0, 0},
    {"pid", NUMBER, offsetof(struct guest_session, pid), 0, INT32_MAX},
    {"code", NUMBER, offsetof(struct guest_session, code), 0, 255},
    {"started", NUMBER, offsetof(struct guest_session, started), 0, GUEST_SESSION_WHEN_LAST},
    {"ended", NUMBER, offsetof(struct guest_session, ended), 0, GUEST_SESSION_WHEN_LAST},
    {"input", INPUT, 0, 0, 0},
    {"folder", TEXT, offsetof(struct guest_session, folder), GUEST_SESSION_TEXT_MAX, 0},
    {"command", TEXT, offsetof(struct guest_session, command), GUEST_SESSION_TEXT_MAX, 0},
    {"attached", TEXT, offsetof(struct guest_session, attached), GUEST_SESSION_WHO_MAX, 0},
};
#define LINES (sizeof(lines) / sizeof(lines[0]))

static const char *const states[] = {"running", "exited", "killed", "lost"};

static int hex(char c) {
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Printable ASCII with %HH for other bytes, to text that can be shown. 1 when it is that. */
static int read_text(const char *value, size_t length, char *out, size_t size) {
    size_t used = 0;
    for (size_t i = 0; i < length; i++) {
        int byte = (unsigned char) value[i];
        if (byte == '%' && i + 2 < length && hex(value[i + 1]) >= 0 && hex(value[i + 2]) >= 0) {
            byte = hex(value[i + 1]) * 16 + hex(value[i + 2]);
            i += 2;
        } else if (byte < ' ' || byte > '~' || byte == '%') {
            return 0;
        }
        if (byte == 0 || used + 1 >= size)
            return 0;
        out[used++] = (char) byte;
    }
    out[used] = '\0';
    text_sanitize(out);
    return 1;
}

static int read_number(const char *value, size_t length, int64_t most, int64_t *out) {
    int64_t number = 0;
    for (size_t i = 0; i < length; i++) {
        if (value[i] < '0' || value[i] > '9' || number > most)
            return 0;
        number = number * 10 + (value[i] - '0');
    }
    *out = number;
    return length > 0 && number <= most;
}

static int is_word(const char *value, size_t length, const char *word) {
    return strlen(word) == length && memcmp(value, word, length) == 0;
}

static int read_state(const char *value, size_t length, enum guest_session_state *out) {
    for (size_t i = 0; i < sizeof(states) / sizeof(states[0]); i++) {
        if (is_word(value, length, states[i])) {
            *out = (enum guest_session_state) i;
            return 1;
        }
    }
    return 0;
}

static int read_value(const struct line *line, const char *value, size_t length, struct guest_session *session) {
    void *member = (char *) session + line->at;
    switch (line->kind) {
    case NAME:
        return read_text(value, length, member, line->size) && vm_label(member);
    case STATE:
        return read_state(value, length, &session->state);
    case NUMBER:
        return read_number(value, length, line->most, member);
    case INPUT:
        session->piped = is_word(value, length, "pipe");
        return session->piped || is_word(value, length, "detached");
    case TEXT:
    default:
        return read_text(value, length, member, line->size);
    }
}

/* The line that `at` begins with, when its key is that: where the next one is, or NULL. */
static const char *take_line(const char *at, const struct line *line, struct guest_session *session) {
    const size_t key = strlen(line->key);
    const char *end = strchr(at, '\n');
    if (!end || strncmp(at, line->key, key) != 0 || at[key] != ' ')
        return NULL;
    const char *value = at + key + 1;
    return read_value(line, value, (size_t) (end - value), session) ? end + 1 : NULL;
}

/* As take_line, of all lines of a session. */
static const char *take_session(const char *at, struct guest_session *session) {
    *session = (struct guest_session){0};
    for (size_t i = 0; at && i < LINES; i++) {
        const int optional = i + 1 == LINES;
        if (!optional || strncmp(at, lines[i].key, strlen(lines[i].key)) == 0)
            at = take_line(at, &lines[i], session);
    }
    return at;
}

int guest_sessions_parse(const char *text, struct guest_session *out, struct err *e) {
    int count = 0;
    for (const char *at = text; *at; count++) {
        at = count < GUEST_SESSIONS_MAX ? take_session(at, &out[count]) : NULL;
        if (!at)
            return err_set(e, EPROTO, "the guest's agent answered with something that is no list of sessions");
    }
    return count;
}

cJSON *guest_session_json(const struct guest_session *session) {
    cJSON *object = cJSON_CreateObject();
    (void) cJSON_AddStringToObject(object, "name", session->name);
    (void) cJSON_AddStringToObject(object, "state", states[session->state]);
    (void) cJSON_AddNumberToObject(object, "pid", (double) session->pid);
    if (session->state == GUEST_SESSION_EXITED)
        (void) cJSON_AddNumberToObject(object, "exit_code", (double) session->code);
    else
        (void) cJSON_AddNullToObject(object, "exit_code");
    (void) cJSON_AddNumberToObject(object, "signal",
                                   session->state == GUEST_SESSION_KILLED ? (double) session->code : 0);
    (void) cJSON_AddStringToObject(object, "stdin_mode", session->piped ? "pipe" : "detached");
    (void) cJSON_AddStringToObject(object, "cwd", session->folder);
    (void) cJSON_AddStringToObject(object, "command", session->command);
    vm_json_time(object, "started", session->started);
    vm_json_time(object, "ended", session->ended);
    (void) cJSON_AddStringToObject(object, "attached", session->attached);
    return object;
}
