#include "output.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int output_colour(FILE *stream) {
    const char *off = getenv("NO_COLOR");
    return !(off && *off) && isatty(fileno(stream));
}

static void say(const char *colour, const char *before, const char *text) {
    char safe[2 * ERR_TEXT_MAX];
    (void) snprintf(safe, sizeof(safe), "%s", text);
    text_sanitize(safe);
    int coloured = output_colour(stderr);
    (void) fprintf(stderr, "%s%s%s%s\n", coloured ? colour : "", before, coloured ? "\033[0m" : "", safe);
}

void output_error(const struct err *e) {
    say("\033[31m", "banger: ", e->text);
}

void output_warning(const char *text) {
    say("\033[33m", "banger: warning: ", text);
}

void output_json(cJSON *value) {
    char *text = cJSON_Print(value);
    if (text)
        (void) puts(text);
    cJSON_free(text);
    cJSON_Delete(value);
}

void table_cell(struct table *t, const char *fmt, ...) {
    char **more = realloc(t->cell, (size_t) (t->cells + 1) * sizeof(*more));
    if (!more)
        return;
    t->cell = more;
    va_list args;
    va_start(args, fmt);
    char *text = NULL;
    if (vasprintf(&text, fmt, args) < 0)
        text = NULL;
    va_end(args);
    if (text)
        text_sanitize(text);
    t->cell[t->cells++] = text;
}

static const char *cell_text(const struct table *t, int index) {
    return t->cell[index] && *t->cell[index] ? t->cell[index] : "-";
}

static void print_row(const struct table *t, int first, const size_t *width, const char *const *headers) {
    for (int c = 0; c < t->columns; c++) {
        const char *text = headers ? headers[c] : cell_text(t, first + c);
        (void) printf("%-*s%s", c + 1 < t->columns ? (int) width[c] : 0, text, c + 1 < t->columns ? "  " : "\n");
    }
}

void table_print(struct table *t, const char *const *headers) {
    size_t *width = calloc((size_t) t->columns, sizeof(*width));
    if (width) {
        for (int c = 0; c < t->columns; c++)
            width[c] = strlen(headers[c]);
        for (int i = 0; i < t->cells; i++) {
            size_t length = strlen(cell_text(t, i));
            if (length > width[i % t->columns])
                width[i % t->columns] = length;
        }
        print_row(t, 0, width, headers);
        for (int i = 0; i + t->columns <= t->cells; i += t->columns)
            print_row(t, i, width, NULL);
    }
    free(width);
    for (int i = 0; i < t->cells; i++)
        free(t->cell[i]);
    free(t->cell);
    t->cell = NULL;
    t->cells = 0;
}

void output_bytes(int64_t bytes, char out[32]) {
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    double value = (double) bytes;
    size_t unit = 0;
    while (value >= 1024 && unit + 1 < sizeof(units) / sizeof(units[0])) {
        value /= 1024;
        unit++;
    }
    (void) snprintf(out, 32, unit ? "%.1f %s" : "%.0f %s", value, units[unit]);
}

void output_size(int64_t bytes, char out[32]) {
    if (bytes % (1LL << 30) == 0)
        (void) snprintf(out, 32, "%lldG", (long long) (bytes >> 30));
    else if (bytes % (1LL << 20) == 0)
        (void) snprintf(out, 32, "%lldM", (long long) (bytes >> 20));
    else
        (void) snprintf(out, 32, "%lld", (long long) bytes);
}

const char *output_member(const cJSON *object, const char *key) {
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, key));
    return text ? text : "";
}

int64_t output_number(const cJSON *object, const char *key) {
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, key);
    return cJSON_IsNumber(item) ? (int64_t) item->valuedouble : 0;
}

void output_object(const cJSON *object) {
    const cJSON *item = NULL;
    cJSON_ArrayForEach(item, object) {
        char *text = cJSON_IsString(item) ? strdup(item->valuestring) : cJSON_PrintUnformatted(item);
        if (text)
            text_sanitize(text);
        (void) printf("%-12s %s\n", item->string, !text || !*text || cJSON_IsNull(item) ? "-" : text);
        free(text);
    }
}
