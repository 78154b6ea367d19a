/* Fuzzes the WWW-Authenticate header's reader. */
#include "../unpriv/image/fetch/challenge.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const char *text, size_t room) {
    const size_t size = strnlen(text, room);
    if (size == room)
        abort();
    for (size_t i = 0; i < size; i++) {
        if (text[i] < ' ' || text[i] > '~')
            abort(); /* it goes into a request */
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct challenge c;
    struct err e = {0};
    char *text = malloc(size + 1);
    if (!text)
        return 0;
    if (size)
        memcpy(text, data, size);
    text[size] = '\0';
    int r = challenge_parse(text, &c, &e);
    if ((r != 0) != (e.code != 0))
        abort();
    check(c.realm, sizeof(c.realm));
    check(c.service, sizeof(c.service));
    check(c.scope, sizeof(c.scope));
    if (c.scheme == CHALLENGE_BEARER && !c.realm[0])
        abort();
    free(text);
    return 0;
}
