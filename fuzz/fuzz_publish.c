/* Fuzzes what people write for published ports, and a record's list of them: what parses has one
 * text that parses to the same. */
#include "../unpriv/forward/spec.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_spec(const char *text) {
    struct publish publish, again;
    struct forward_rule rules[2];
    struct err e = {0};
    char whole[PUBLISH_TEXT_MAX];
    int r = publish_parse(text, &publish, &e);
    if ((r != 0) != (e.code != 0))
        abort();
    if (r)
        return;
    publish_format(&publish, whole);
    if (publish_parse(whole, &again, &e) || memcmp(&publish, &again, sizeof(again)) != 0 || strchr(whole, ' '))
        abort();
    if (publish.host == 0 || publish.guest == 0 || publish_rules(&publish, rules) != (publish.family ? 1 : 2))
        abort();
}

static void check_list(const char *text) {
    struct publish_list list, again;
    struct err e = {0};
    char whole[PUBLISH_LIST_MAX];
    publish_list_read(text, &list);
    if (list.count > PUBLISH_MAX)
        abort();
    if (publish_list_write(&list, whole, &e))
        return;
    publish_list_read(whole, &again);
    if (again.count != list.count)
        abort();
    for (size_t i = list.count; i-- > 0;) {
        if (publish_remove(&list, &again.items[i], &e) || publish_remove(&list, &again.items[i], &e) != -ENOENT)
            abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char *text = malloc(size + 1);
    if (!text)
        return 0;
    if (size)
        memcpy(text, data, size);
    text[size] = '\0';
    check_spec(text);
    check_list(text);
    free(text);
    return 0;
}
