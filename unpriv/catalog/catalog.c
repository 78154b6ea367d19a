#include "catalog.h"

#include "../../common/toml.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FORMAT    1
#define SIZE_MOST ((int64_t) 16 << 40)
#define LETTERS   "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define DIGITS    "0123456789"
#define NAME      LETTERS DIGITS "._/:@+-"
#define URL       NAME "~%?&=,;!$'()*#[]"

enum { DEBIAN = 1, OCI = 2, BUNDLE = 4, ALL = 7 };
static const struct {
    const char *name;
    unsigned bit;
} kinds[] = {{"debian", DEBIAN}, {"oci", OCI}, {"bundle", BUNDLE}};

enum type { TEXT, WORDS, HEX, PINNED, LOCATION, SIZE, SIGNATURE };

/* One key of an entry. */
struct field {
    const char *key;
    enum type type;
    size_t offset, room;
    unsigned needed, allowed; /* by which kinds */
    const char *wanted;
};
#define IMAGE(member)  offsetof(struct catalog_image, member), sizeof(((struct catalog_image *) 0)->member)
#define KERNEL(member) offsetof(struct catalog_kernel, member), sizeof(((struct catalog_kernel *) 0)->member)
#define A_NAME         "1 to 63 letters, digits or ._/:@+- that begin with a letter or digit"

static const struct field image_fields[] = {
    {"name", WORDS, IMAGE(name), ALL, ALL, A_NAME},
    {"kind", WORDS, IMAGE(kind), ALL, ALL, "\"debian\", \"oci\" or \"bundle\""},
    {"kernel", WORDS, IMAGE(kernel), 0, ALL, A_NAME},
    {"text", TEXT, IMAGE(text), 0, ALL, "at most 127 bytes"},
    {"release", WORDS, IMAGE(release), DEBIAN, DEBIAN, "the name of a Debian release"},
    {"reference", PINNED, IMAGE(reference), OCI, OCI, "at most 255 bytes that end in @sha256: and 64 digits"},
    {"url", LOCATION, IMAGE(url), BUNDLE, BUNDLE, "an https:// address or an absolute path, at most 255 bytes"},
    {"sha256", HEX, IMAGE(sha256), BUNDLE, BUNDLE, "64 small hexadecimal digits"},
    {"size", SIZE, IMAGE(size), BUNDLE, BUNDLE, "the bundle's bytes, 1 to 16 TiB"},
    {"signature", SIGNATURE, IMAGE(signature), BUNDLE, BUNDLE, "the text of the bundle's .minisig"},
};
static const struct field kernel_fields[] = {
    {"name", WORDS, KERNEL(name), ALL, ALL, A_NAME},
    {"package", WORDS, KERNEL(package), ALL, ALL, "the name of a package"},
    {"text", TEXT, KERNEL(text), 0, ALL, "at most 127 bytes"},
};
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* One of the two kinds of table. */
struct shape {
    const char *table;
    const struct field *fields;
    size_t count, size;
};
static const struct shape shapes[] = {
    {"image", image_fields, COUNT(image_fields), sizeof(struct catalog_image)},
    {"kernel", kernel_fields, COUNT(kernel_fields), sizeof(struct catalog_kernel)},
};

struct reading {
    struct catalog *catalog;
    size_t first_image, first_kernel; /* of this text */
    const struct shape *shape;        /* NULL before the first header */
    unsigned given;                   /* fields of the entry, by bit */
    int format;
    unsigned line; /* of the entry's header */
    union {
        struct catalog_image image;
        struct catalog_kernel kernel;
    } entry;
};

/* --- values ------------------------------------------------------------------------ */

static int is_hex(const char *text) {
    return strlen(text) == 64 && strspn(text, "0123456789abcdef") == 64;
}

static int is_word(const char *text) {
    return text[0] && strchr(LETTERS DIGITS, text[0]) && strspn(text, NAME) == strlen(text);
}

static int is_pinned(const char *text) {
    const char *at = strstr(text, "@sha256:");
    return at && at > text && is_word(text) && is_hex(at + strlen("@sha256:"));
}

static int is_location(const char *text) {
    if (text[0] == '/')
        return !strstr(text, "/../");
    return strncmp(text, "https://", 8) == 0 && text[8] && text[8] != '/' && strspn(text, URL) == strlen(text);
}

/* A text that shows as it is. */
static int is_clean(const char *text) {
    char copy[TOML_TEXT_MAX];
    (void) snprintf(copy, sizeof(copy), "%s", text);
    text_sanitize(copy);
    return strcmp(copy, text) == 0;
}

static int fits(enum type type, const char *text) {
    switch (type) {
    case WORDS:
        return is_word(text);
    case HEX:
        return is_hex(text);
    case PINNED:
        return is_pinned(text);
    case LOCATION:
        return is_location(text) && is_clean(text);
    case TEXT:
    case SIZE:
    case SIGNATURE:
    default:
        return is_clean(text);
    }
}

static int take_signature(const struct toml_entry *entry, struct minisign_signature *s, struct err *e) {
    int r = entry->type == TOML_STRING ? minisign_signature_read(entry->text, strlen(entry->text), "given here", s, e)
                                       : err_set(e, EINVAL, "signature must be a text");
    if (r == 0 && !s->prehashed)
        return err_set(e, EINVAL, "a bundle's signature must be of its BLAKE2b hash: sign it again without -l");
    return r;
}

static int take_value(const struct field *f, const struct toml_entry *entry, char *to, struct err *e) {
    if (f->type == SIGNATURE)
        return take_signature(entry, (struct minisign_signature *) (void *) to, e);
    if (f->type == SIZE && entry->type == TOML_INTEGER && entry->number > 0 && entry->number <= SIZE_MOST) {
        memcpy(to, &entry->number, sizeof(entry->number));
        return 0;
    }
    if (f->type == SIZE || entry->type != TOML_STRING || strlen(entry->text) >= f->room || !fits(f->type, entry->text))
        return err_set(e, EINVAL, "%s must be %s", f->key, f->wanted);
    (void) snprintf(to, f->room, "%s", entry->text);
    return 0;
}

/* --- entries ----------------------------------------------------------------------- */

static unsigned kind_of(const struct reading *r) {
    if (r->shape->fields != image_fields)
        return ALL;
    for (size_t i = 0; i < COUNT(kinds); i++) {
        if (strcmp(kinds[i].name, r->entry.image.kind) == 0)
            return kinds[i].bit;
    }
    return 0;
}

static int check_fields(const struct reading *r, struct err *e) {
    unsigned kind = kind_of(r);
    if (kind == 0)
        return err_set(e, EINVAL, "kind must be \"debian\", \"oci\" or \"bundle\"");
    for (size_t i = 0; i < r->shape->count; i++) {
        const struct field *f = &r->shape->fields[i];
        int given = (r->given >> i & 1) != 0;
        if (!given && (f->needed & kind))
            return err_set(e, EINVAL, "%s is missing in this [[%s]]: it is %s", f->key, r->shape->table, f->wanted);
        if (given && !(f->allowed & kind))
            return err_set(e, EINVAL, "%s does not belong to an image of kind %s", f->key, r->entry.image.kind);
    }
    return 0;
}

/* Takes the place of an entry of an earlier text, or a new one. */
static int place(struct reading *r, struct err *e) {
    struct catalog *c = r->catalog;
    int image = r->shape->fields == image_fields;
    char *list = image ? (char *) c->images : (char *) c->kernels;
    size_t *count = image ? &c->image_count : &c->kernel_count, first = image ? r->first_image : r->first_kernel;
    size_t at = 0;
    while (at < *count && strcmp(list + at * r->shape->size, (const char *) &r->entry) != 0) /* the name comes first */
        at++;
    if (at == CATALOG_ENTRIES_MAX)
        return err_set(e, E2BIG, "the catalogs have more than %d entries together: take some out", CATALOG_ENTRIES_MAX);
    if (at < *count && at >= first)
        return err_set(e, EEXIST, "the %s %s is there already: keep one of them", r->shape->table,
                       (const char *) &r->entry);
    memcpy(list + at * r->shape->size, &r->entry, r->shape->size);
    *count += at == *count;
    return 0;
}
_Static_assert(offsetof(struct catalog_image, name) == 0 && offsetof(struct catalog_kernel, name) == 0, "see place()");

/* The entry that ends here. */
static int end_entry(struct reading *r, struct err *e) {
    if (!r->shape)
        return 0;
    int failed = check_fields(r, e);
    return failed ? failed : place(r, e);
}

static int begin_entry(struct reading *r, const struct toml_entry *header, struct err *e) {
    int failed = end_entry(r, e);
    if (failed)
        return err_prefix(e, "the entry of line %u", r->line);
    if (!r->format)
        return err_set(e, EINVAL, "format = %d must come first", FORMAT);
    for (size_t i = 0; i < COUNT(shapes); i++) {
        if (!header->in_array || strcmp(shapes[i].table, header->table) != 0)
            continue;
        r->shape = &shapes[i];
        r->given = 0;
        r->line = header->line;
        memset(&r->entry, 0, sizeof(r->entry));
        return 0;
    }
    return err_set(e, EINVAL, "a catalog has [[image]] and [[kernel]], nothing else");
}

static int visit(const struct toml_entry *entry, void *arg, struct err *e) {
    struct reading *r = arg;
    if (!entry->key)
        return begin_entry(r, entry, e);
    if (!r->shape) {
        if (strcmp(entry->key, "format") != 0 || r->format || entry->type != TOML_INTEGER || entry->number != FORMAT)
            return err_set(e, EINVAL,
                           "format = %d must come first, once: another is of another banger's, and other keys belong "
                           "under [[image]] or [[kernel]]",
                           FORMAT);
        r->format = 1;
        return 0;
    }
    for (size_t i = 0; i < r->shape->count; i++) {
        const struct field *f = &r->shape->fields[i];
        if (strcmp(f->key, entry->key) != 0)
            continue;
        if (r->given >> i & 1)
            return err_set(e, EINVAL, "%s is there already in this [[%s]]: keep one of them", f->key, r->shape->table);
        r->given |= 1u << i;
        return take_value(f, entry, (char *) &r->entry + f->offset, e);
    }
    return err_set(e, EINVAL, "a [[%s]] has no %s: see docs/image-catalog.md", r->shape->table, entry->key);
}

int catalog_add(struct catalog *c, const char *text, size_t size, const char *file, struct err *e) {
    struct reading r = {.catalog = c, .first_image = c->image_count, .first_kernel = c->kernel_count};
    int failed = toml_read(text, size, file, visit, &r, e);
    if (failed)
        return failed;
    if (!r.format)
        return err_set(e, EINVAL, "%s:1: format = %d must come first", file, FORMAT);
    return end_entry(&r, e) ? err_prefix(e, "%s:%u", file, r.line) : 0;
}

const struct catalog_image *catalog_image(const struct catalog *c, const char *name) {
    for (size_t i = 0; i < c->image_count; i++) {
        if (strcmp(c->images[i].name, name) == 0)
            return &c->images[i];
    }
    return NULL;
}

const struct catalog_kernel *catalog_kernel(const struct catalog *c, const char *name) {
    for (size_t i = 0; i < c->kernel_count; i++) {
        if (strcmp(c->kernels[i].name, name) == 0)
            return &c->kernels[i];
    }
    return NULL;
}
