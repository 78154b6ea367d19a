#include "../messages.h"
#include "import.h"

#include <stdio.h>

void import_progress(uint64_t bytes, uint64_t entries) {
    char text[128];
    if (!messages_due())
        return;
    (void) snprintf(text, sizeof(text), "{\"progress\":{\"bytes\":%llu,\"entries\":%llu}}", (unsigned long long) bytes,
                    (unsigned long long) entries);
    messages_line(text);
}

void import_succeeded(const struct import_report *report) {
    char text[512];
    char release[2 * sizeof(report->release)] = "";
    if (report->release[0]) /* of [A-Za-z0-9.+~_-]: the kernel's part checked it, and the engine does */
        (void) snprintf(release, sizeof(release), ",\"release\":\"%.63s\"", report->release);
    (void) snprintf(text, sizeof(text), "{\"ok\":true,\"bytes\":%llu,\"entries\":%llu,\"size\":%llu,\"used\":%llu%s}",
                    (unsigned long long) report->bytes, (unsigned long long) report->entries,
                    (unsigned long long) report->size, (unsigned long long) report->used, release);
    messages_line(text);
}
