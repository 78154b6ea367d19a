#include "progress.h"

#include "../../common/err.h"
#include "../../common/io.h"
#include "output.h"

#include <cjson/cJSON.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#define REDRAW_MS 100
#define REPEAT_MS 5000

void progress_open(struct progress *p, FILE *out, int quiet) {
    memset(p, 0, sizeof(*p));
    if (quiet)
        return;
    p->out = out;
    p->live = isatty(fileno(out));
    p->colour = output_colour(out);
}

/* "boot      1.2 s  starting, 12.0 MiB of 734.0 MiB, 80.1 MiB/s" */
static void print_stage(const struct progress *p, int finished) {
    long long ms = io_now_ms() - p->started;
    char done[32], total[32], rate[32];
    (void) fprintf(p->out, "%s%-8s%s %6.1f s", p->colour ? (finished ? "\033[32m" : "\033[36m") : "", p->stage,
                   p->colour ? "\033[0m" : "", (double) ms / 1000);
    if (p->text[0])
        (void) fprintf(p->out, "  %s", p->text);
    if (p->done > 4096) { /* small numbers are steps */
        output_bytes(p->done, done);
        output_bytes(p->total, total);
        output_bytes(ms > 0 ? p->done * 1000 / ms : 0, rate);
        (void) fprintf(p->out, "%s%s", p->text[0] ? ", " : "  ", done);
        if (p->total > p->done)
            (void) fprintf(p->out, " of %s", total);
        if (ms >= 100)
            (void) fprintf(p->out, ", %s/s", rate);
    }
}

static void draw(struct progress *p, int finished) {
    if (p->live)
        (void) fputs("\r\033[K", p->out);
    print_stage(p, finished);
    if (!p->live || finished)
        (void) fputc('\n', p->out);
    (void) fflush(p->out);
    p->drawn = p->printed = io_now_ms();
}

void progress_finish(struct progress *p, int failed) {
    if (!p->out || !p->stage[0])
        return;
    if (!failed)
        draw(p, 1);
    else if (p->live)
        (void) fputs("\r\033[K", p->out);
    (void) fflush(p->out);
    p->stage[0] = 0;
}

void progress_json(struct progress *p, FILE *out) {
    p->out = NULL;
    p->json = out;
}

/* Takes `line`. */
static void print_json(const struct progress *p, cJSON *line) {
    char *text = cJSON_PrintUnformatted(line);
    if (text)
        (void) fprintf(p->json, "%s\n", text);
    (void) fflush(p->json);
    cJSON_free(text);
    cJSON_Delete(line);
}

static void print_text(const struct progress *p, const char *key, const char *text) {
    cJSON *line = cJSON_CreateObject();
    (void) cJSON_AddStringToObject(line, key, text);
    print_json(p, line);
}

static void update_json(struct progress *p, const char *stage, const char *text, int64_t done, int64_t total) {
    const long long now = io_now_ms();
    if (strcmp(stage, p->stage) != 0) {
        (void) snprintf(p->stage, sizeof(p->stage), "%s", stage);
        p->started = now;
    }
    const int64_t rate = now > p->started ? done * 1000 / (now - p->started) : 0;
    cJSON *line = cJSON_CreateObject();
    cJSON *progress = cJSON_AddObjectToObject(line, "progress");
    (void) cJSON_AddStringToObject(progress, "stage", stage);
    (void) cJSON_AddStringToObject(progress, "text", text);
    (void) cJSON_AddNumberToObject(progress, "done", (double) done);
    (void) cJSON_AddNumberToObject(progress, "total", (double) total);
    (void) cJSON_AddNumberToObject(progress, "rate", (double) rate);
    print_json(p, line);
}

void progress_update(struct progress *p, const char *stage, const char *text, int64_t done, int64_t total) {
    if (p->json)
        update_json(p, stage, text, done, total);
    if (!p->out)
        return;
    if (strcmp(stage, p->stage) != 0) {
        progress_finish(p, 0);
        (void) snprintf(p->stage, sizeof(p->stage), "%s", stage);
        text_sanitize(p->stage);
        p->started = p->printed = io_now_ms();
        p->drawn = 0;
    }
    (void) snprintf(p->text, sizeof(p->text), "%s", text);
    text_sanitize(p->text);
    p->done = done;
    p->total = total;
    if (total > 0 && done >= total)
        progress_finish(p, 0);
    else
        progress_tick(p);
}

void progress_tick(struct progress *p) {
    if (!p->out || !p->stage[0])
        return;
    long long now = io_now_ms();
    if (p->live ? now - p->drawn >= REDRAW_MS : now - p->printed >= REPEAT_MS)
        draw(p, 0);
}

void progress_line(struct progress *p, const char *fmt, ...) {
    if (!p->out && !p->json)
        return;
    char text[2 * ERR_TEXT_MAX];
    va_list args;
    va_start(args, fmt);
    /* NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized): started one line above */
    (void) vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    text_sanitize(text);
    if (p->json) {
        print_text(p, "note", text);
        return;
    }
    (void) fprintf(p->out, "%s%s\n", p->live ? "\r\033[K" : "", text);
    (void) fflush(p->out);
    p->drawn = 0;
}

void progress_warn(struct progress *p, const char *text) {
    if (p->json)
        print_text(p, "warning", text);
    if (!p->out)
        return;
    if (p->live)
        (void) fputs("\r\033[K", p->out);
    output_warning(text);
    p->drawn = 0;
}
