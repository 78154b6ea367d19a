/* What a guest says of its sessions: the answers of the agent's service "session" (guest/agent/session.h). */
#ifndef BANGER_VM_GUEST_SESSIONS_H
#define BANGER_VM_GUEST_SESSIONS_H

#include "../../common/err.h"

#include <cjson/cJSON.h>
#include <stdint.h>

#define GUEST_SESSIONS_MAX      64
#define GUEST_SESSIONS_SIZE     131072 /* of an answer, with its NUL */
#define GUEST_SESSION_NAME_MAX  64
#define GUEST_SESSION_TEXT_MAX  3204
#define GUEST_SESSION_WHO_MAX   128
#define GUEST_SESSION_WHEN_LAST 253402300799 /* the end of the year 9999, in seconds since 1970 */

enum guest_session_state { GUEST_SESSION_RUNNING, GUEST_SESSION_EXITED, GUEST_SESSION_KILLED, GUEST_SESSION_LOST };

/* Texts are UTF-8 without control bytes. */
struct guest_session {
    char name[GUEST_SESSION_NAME_MAX]; /* a DNS label */
    enum guest_session_state state;
    int64_t pid, code;      /* of its command; exit status or signal, 0 to 255 */
    int64_t started, ended; /* seconds since 1970 by the guest's clock; 0: not (known) */
    int piped;              /* its input is a pipe */
    char folder[GUEST_SESSION_TEXT_MAX], command[GUEST_SESSION_TEXT_MAX];
    char attached[GUEST_SESSION_WHO_MAX]; /* "" while nobody is */
};

/* Reads an answer's sessions into `out` (GUEST_SESSIONS_MAX). Their number, or -EPROTO with a sentence for anything
 * else. */
int guest_sessions_parse(const char *text, struct guest_session *out, struct err *e);
/* As docs/protocol.md has it. */
cJSON *guest_session_json(const struct guest_session *session);

#endif
