#include "internal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

/* Short, easy to say and to type, nothing that could be read as a remark on somebody. */
static const char *const first[] = {
    "amber",  "brave", "brisk",  "calm",  "clear", "cosy",  "crisp",  "dawn",  "deft",  "eager", "early", "fair",
    "fleet",  "fresh", "gentle", "glad",  "grand", "green", "happy",  "jolly", "keen",  "kind",  "light", "lively",
    "lucky",  "lunar", "mellow", "merry", "mild",  "neat",  "nimble", "noble", "plain", "proud", "quick", "quiet",
    "rapid",  "ready", "rosy",   "royal", "sharp", "shiny", "silent", "smart", "snowy", "solar", "solid", "spry",
    "steady", "still", "sunny",  "swift", "tidy",  "vivid", "warm",   "wild",  "windy", "wise",  "witty", "young",
};
static const char *const second[] = {
    "acorn", "badger", "beaver", "birch", "bison",  "brook",   "cedar", "clover", "comet", "coral", "crane",  "daisy",
    "delta", "dune",   "eagle",  "elm",   "falcon", "fern",    "finch", "fjord",  "fox",   "gecko", "grove",  "hare",
    "heron", "ibis",   "iris",   "jay",   "kite",   "lark",    "lemur", "lily",   "lynx",  "maple", "marten", "meadow",
    "moose", "moth",   "newt",   "oak",   "orchid", "osprey",  "otter", "owl",    "panda", "pearl", "pine",   "puffin",
    "quail", "raven",  "reef",   "robin", "seal",   "sparrow", "stork", "swan",   "tern",  "tulip", "willow", "wren",
};
#define COUNT(list) (sizeof(list) / sizeof((list)[0]))

static uint32_t random_number(void) {
    uint32_t number = 0;
    (void) !getrandom(&number, sizeof(number), 0);
    return number;
}

void vm_name_random(char name[STORE_NAME_MAX], unsigned attempt) {
    const char *one = first[random_number() % COUNT(first)];
    const char *two = second[random_number() % COUNT(second)];
    if (attempt == 0)
        (void) snprintf(name, STORE_NAME_MAX, "%s-%s", one, two);
    else
        (void) snprintf(name, STORE_NAME_MAX, "%s-%s-%u", one, two, random_number() % 10000);
}

void vm_id_random(char id[17]) {
    uint32_t high = random_number();
    (void) snprintf(id, 17, "%08x%08x", high, random_number());
}

static int is_alnum(char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

/* As long as an id and made of hex digits: the lookup could not tell them apart. */
static int looks_like_id(const char *name) {
    return strlen(name) == 16 && strspn(name, "0123456789abcdef") == 16;
}

int vm_label(const char *name) {
    size_t length = strlen(name);
    int good = length >= 1 && length <= 63 && is_alnum(name[0]) && is_alnum(name[length - 1]);
    for (size_t i = 0; good && i < length; i++)
        good = is_alnum(name[i]) || name[i] == '-';
    return good;
}

int vm_name_check(const char *name, struct err *e) {
    if (!vm_label(name))
        return err_set(e, EINVAL,
                       "\"%.80s\" cannot be a VM's name: use 1 to 63 lower-case letters, digits and inner hyphens",
                       name);
    if (looks_like_id(name))
        return err_set(e, EINVAL, "\"%s\" looks like a VM's id: choose another name", name);
    return 0;
}
