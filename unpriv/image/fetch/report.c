#include "fetch.h"

#include "../../../common/io.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <string.h>

#define PROGRESS_MS 100

static int messages = -1;
static long long told_ms;

void fetch_messages_open(int fd) {
    messages = fd;
    told_ms = 0;
}

static void line(const char *text) {
    char whole[4096];
    int n = snprintf(whole, sizeof(whole), "%s\n", text);
    if (messages >= 0 && n > 0 && (size_t) n < sizeof(whole))
        (void) io_write(messages, whole, (size_t) n);
}

void fetch_progress(const struct fetch *f) {
    const long long now = io_now_ms();
    if (messages < 0 || now - told_ms < PROGRESS_MS)
        return;
    told_ms = now;
    const long long bytes = f->bytes + f->cached;
    char text[192];
    (void) snprintf(text, sizeof(text), "{\"progress\":{\"bytes\":%lld,\"total\":%lld,\"ready\":%zu,\"layers\":%zu}}",
                    bytes, (long long) f->total, f->ready, f->layers);
    line(text);
}

void fetch_succeeded(const struct fetch *f) {
    char text[320];
    told_ms = 0;
    fetch_progress(f);
    (void) snprintf(text, sizeof(text), "{\"ok\":true,\"bytes\":%lld,\"cached\":%lld,\"layers\":%zu,\"digest\":\"%s\"}",
                    (long long) f->bytes, (long long) f->cached, f->layers, f->digest);
    line(text);
}

void fetch_failed(const struct err *e) {
    char text[3072];
    cJSON *object = cJSON_CreateObject();
    int ok = object && cJSON_AddFalseToObject(object, "ok") && cJSON_AddNumberToObject(object, "code", e->code) &&
             cJSON_AddStringToObject(object, "error", e->text) &&
             cJSON_PrintPreallocated(object, text, (int) sizeof(text), 0);
    cJSON_Delete(object);
    line(ok ? text : "{\"ok\":false,\"code\":12,\"error\":\"there is not enough memory: free some and try again\"}");
}
