/* Fuzzes image references, hosts and platforms: what parses has one whole form that parses to itself. */
#include "../unpriv/image/reference.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_reference(const char *text) {
    struct reference ref, again;
    struct err e = {0};
    char whole[REFERENCE_TEXT_MAX], twice[REFERENCE_TEXT_MAX];
    int r = reference_parse(text, &ref, &e);
    if ((r != 0) != (e.code != 0))
        abort();
    if (r)
        return;
    (void) reference_text(&ref, whole);
    if (reference_parse(whole, &again, &e) || strcmp(reference_text(&again, twice), whole) != 0)
        abort();
    if (!reference_is_host(ref.host) || !ref.path[0] || (!ref.tag[0] && !ref.digest[0]) || strstr(ref.path, "..") ||
        strpbrk(whole, " \t\r\n\"\\"))
        abort();
    (void) reference_is_loopback(ref.host);
    if (!reference_is_host(reference_server(ref.host)) || (strpbrk(text, "/:@") && !reference_is_one(text)))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct platform platform;
    struct err e = {0};
    char *text = malloc(size + 1);
    if (!text)
        return 0;
    if (size)
        memcpy(text, data, size);
    text[size] = '\0';
    check_reference(text);
    (void) reference_is_loopback(text);
    (void) reference_is_digest(text);
    if (platform_parse(text, &platform, &e) == 0 && (!platform.os[0] || !platform.architecture[0]))
        abort();
    free(text);
    return 0;
}
