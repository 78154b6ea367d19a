/* What the CLI prints: sentences, tables, JSON. Text from elsewhere is made safe
 * for a terminal on the way. */
#ifndef BANGER_CLI_OUTPUT_H
#define BANGER_CLI_OUTPUT_H

#include "../../common/err.h"

#include <cjson/cJSON.h>
#include <stdint.h>
#include <stdio.h>

enum exit_status {
    EXIT_OWN = 1,   /* banger could not do it */
    EXIT_USAGE = 2, /* the command line makes no sense */
    EXIT_RUN = 125, /* as EXIT_OWN, of commands that exit with a guest command's own status */
};

/* 1 when `stream` is a terminal and NO_COLOR is not set (no-color.org). */
int output_colour(FILE *stream);

/* "banger: <sentence>" on stderr. */
void output_error(const struct err *e);
/* "banger: warning: <sentence>" on stderr. */
void output_warning(const char *text);

/* JSON on stdout with a newline; frees `value`. */
void output_json(cJSON *value);

/* Columns under headers. Each row has `columns` cells, which table_cell copies. */
struct table {
    int columns, cells;
    char **cell;
};
void table_cell(struct table *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Prints and frees. */
void table_print(struct table *t, const char *const *headers);

/* "734.0 MiB", "8G" style texts of a byte count. */
void output_bytes(int64_t bytes, char out[32]);
void output_size(int64_t bytes, char out[32]);

/* The members of an object as text, "" where missing. `out` of the number form. */
const char *output_member(const cJSON *object, const char *key);
int64_t output_number(const cJSON *object, const char *key);

/* Every member of an object, one "key value" line each, in order. */
void output_object(const cJSON *object);

#endif
