/* The part of TOML 1.0.0 that banger's files need: comments, [table] and [[array]]
 * headers, bare keys; strings in double quotes on one line, whole decimal numbers, true
 * and false. Anything else is an error, and so is what TOML itself forbids, but for
 * names given twice: those are refused by the visitor, who knows what there can be.
 * Bounded, no recursion, no heap: the text may be anybody's. */
#ifndef BANGER_COMMON_TOML_H
#define BANGER_COMMON_TOML_H

#include "err.h"

#include <stddef.h>
#include <stdint.h>

#define TOML_BYTES_MAX 65536 /* a longer text is refused */
#define TOML_TEXT_MAX  1024  /* bytes of a string's value, with the NUL */
#define TOML_NAME_MAX  64    /* bytes of a key's or table's name, with the NUL */

enum toml_type { TOML_STRING, TOML_INTEGER, TOML_BOOLEAN };

/* A header, or a key with its value. Texts live until the visitor returns. */
struct toml_entry {
    const char *table; /* "" before the first header */
    int in_array;      /* 1: of a [[table]] */
    const char *key;   /* NULL: this is the header itself */
    enum toml_type type;
    const char *text; /* TOML_STRING: UTF-8 without a NUL inside */
    int64_t number;   /* TOML_INTEGER; TOML_BOOLEAN: 0 or 1 */
    unsigned line;    /* from 1 */
};

/* 0, or a negative errno with the sentence that says what is wrong (no file, no line). */
typedef int toml_visit(const struct toml_entry *entry, void *arg, struct err *e);

/* Calls `visit` for each header and key in order. 0, or the negative errno of the first
 * mistake with a sentence that begins "<file>:<line>: ". */
int toml_read(const char *text, size_t size, const char *file, toml_visit *visit, void *arg, struct err *e);

#endif
