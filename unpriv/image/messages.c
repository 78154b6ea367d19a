#include "messages.h"

#include "../../common/io.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#define PROGRESS_MS 100

static int messages = -1;
static long long told_ms;

int messages_take(const char *program, struct err *e) {
    messages = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 16);
    if (messages < 0)
        return err_sys(e, errno, "%s was started without a descriptor for messages", program);
    return dup2(STDOUT_FILENO, STDERR_FILENO) < 0
               ? err_sys(e, errno, "%s was started without a standard output", program)
               : 0;
}

int messages_due(void) {
    const long long now = messages < 0 ? 0 : io_now_ms();
    if (now - told_ms < PROGRESS_MS)
        return 0;
    told_ms = now;
    return 1;
}

void messages_line(const char *text) {
    char whole[4096];
    int n = snprintf(whole, sizeof(whole), "%s\n", text);
    if (messages >= 0 && n > 0 && (size_t) n < sizeof(whole))
        (void) io_write(messages, whole, (size_t) n);
}

void messages_failed(const struct err *e) {
    char text[3072];
    cJSON *object = cJSON_CreateObject();
    int ok = object && cJSON_AddFalseToObject(object, "ok") && cJSON_AddNumberToObject(object, "code", e->code) &&
             cJSON_AddStringToObject(object, "error", e->text) &&
             cJSON_PrintPreallocated(object, text, (int) sizeof(text), 0);
    cJSON_Delete(object);
    messages_line(ok ? text
                     : "{\"ok\":false,\"code\":12,\"error\":\"there is not enough memory: free some and try again\"}");
}
