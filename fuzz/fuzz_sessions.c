/* Fuzzes what a guest says of its sessions. */
#include "../unpriv/vm/guest_sessions.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct guest_session *session) {
    if (!session->name[0] || session->state > GUEST_SESSION_LOST || session->code < 0 || session->code > 255 ||
        session->pid < 0 || session->started < 0 || session->ended > GUEST_SESSION_WHEN_LAST)
        abort();
    cJSON *json = guest_session_json(session);
    char *text = cJSON_PrintUnformatted(json);
    for (const char *at = text; *at; at++) {
        if ((unsigned char) *at < 0x20 || *at == 0x7f)
            abort();
    }
    cJSON_free(text);
    cJSON_Delete(json);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static struct guest_session sessions[GUEST_SESSIONS_MAX];
    struct err e = {0};
    char *text = calloc(1, size + 1);
    if (!text)
        return 0;
    if (size)
        memcpy(text, data, size);
    int count = guest_sessions_parse(text, sessions, &e);
    if (count > GUEST_SESSIONS_MAX || (count < 0) != (e.code != 0))
        abort();
    for (int i = 0; i < count; i++)
        check(&sessions[i]);
    free(text);
    return 0;
}
