#include "../messages.h"
#include "fetch.h"

#include <stdio.h>

static void tell(const struct fetch *f) {
    char text[224];
    (void) snprintf(text, sizeof(text),
                    "{\"progress\":{\"bytes\":%lld,\"cached\":%lld,\"total\":%lld,\"ready\":%zu,\"layers\":%zu}}",
                    (long long) (f->bytes + f->cached), (long long) f->cached, (long long) f->total, f->ready,
                    f->layers);
    messages_line(text);
}

void fetch_progress(const struct fetch *f) {
    if (messages_due())
        tell(f);
}

void fetch_failed(const struct fetch *f, const struct err *e) {
    tell(f);
    messages_failed(e);
}

void fetch_succeeded(const struct fetch *f) {
    char text[320];
    tell(f);
    (void) snprintf(text, sizeof(text),
                    "{\"ok\":true,\"known\":%s,\"bytes\":%lld,\"cached\":%lld,\"layers\":%zu,\"digest\":\"%s\"}",
                    f->known ? "true" : "false", (long long) f->bytes, (long long) f->cached, f->layers, f->digest);
    messages_line(text);
}
