#include "import.h"

#include "../../../common/io.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <string.h>

#define PROGRESS_MS 100

static int messages = -1;
static long long told_ms;

void import_messages_open(int fd) {
    messages = fd;
    told_ms = 0;
}

static void line(const char *text) {
    char whole[4096];
    int n = snprintf(whole, sizeof(whole), "%s\n", text);
    if (messages >= 0 && n > 0 && (size_t) n < sizeof(whole))
        (void) io_write(messages, whole, (size_t) n);
}

void import_progress(uint64_t bytes, uint64_t entries) {
    if (messages < 0)
        return;
    long long now = io_now_ms();
    if (now - told_ms < PROGRESS_MS)
        return;
    told_ms = now;
    char text[128];
    (void) snprintf(text, sizeof(text), "{\"progress\":{\"bytes\":%llu,\"entries\":%llu}}", (unsigned long long) bytes,
                    (unsigned long long) entries);
    line(text);
}

void import_succeeded(const struct import_report *report) {
    char text[512];
    char release[2 * sizeof(report->release)] = "";
    if (report->release[0]) { /* a release is [A-Za-z0-9.+~_-]: the kernel's part checked it */
        char safe[sizeof(report->release)];
        memcpy(safe, report->release, sizeof(safe));
        safe[sizeof(safe) - 1] = '\0';
        for (char *at = safe; *at; at++) {
            if (*at == '"' || *at == '\\')
                *at = '?';
        }
        text_sanitize(safe);
        (void) snprintf(release, sizeof(release), ",\"release\":\"%s\"", safe);
    }
    (void) snprintf(text, sizeof(text), "{\"ok\":true,\"bytes\":%llu,\"entries\":%llu,\"size\":%llu,\"used\":%llu%s}",
                    (unsigned long long) report->bytes, (unsigned long long) report->entries,
                    (unsigned long long) report->size, (unsigned long long) report->used, release);
    line(text);
}

void import_failed(const struct err *e) {
    char text[3072];
    cJSON *object = cJSON_CreateObject();
    int ok = object && cJSON_AddFalseToObject(object, "ok") && cJSON_AddNumberToObject(object, "code", e->code) &&
             cJSON_AddStringToObject(object, "error", e->text) &&
             cJSON_PrintPreallocated(object, text, (int) sizeof(text), 0);
    cJSON_Delete(object);
    line(ok ? text : "{\"ok\":false,\"code\":12,\"error\":\"There is not enough memory; free some and try again\"}");
}
