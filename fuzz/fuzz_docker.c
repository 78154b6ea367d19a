/* Fuzzes docker's configuration and the answers of its credential helpers: a host, a newline, the text. */
#include "../unpriv/cli/docker.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const char *text, size_t room) {
    if (strnlen(text, room) == room)
        abort();
    for (; *text; text++) {
        if ((unsigned char) *text < ' ')
            abort(); /* it goes into a header */
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static struct docker_login login;
    char host[128];
    struct err e = {0};
    const uint8_t *line = size ? memchr(data, '\n', size) : NULL;
    const size_t length = line ? (size_t) (line - data) : 0;
    if (!line || length >= sizeof(host))
        return 0;
    memcpy(host, data, length);
    host[length] = '\0';
    const char *text = (const char *) line + 1;
    const size_t rest = size - length - 1;
    int r = docker_config_find(text, rest, host, &login, &e);
    if ((r != 0) != (e.code != 0) || (r && (login.username[0] || login.helper[0])) || strchr(login.helper, '/'))
        abort();
    check(login.username, sizeof(login.username));
    check(login.password, sizeof(login.password));
    check(login.token, sizeof(login.token));
    memset(&login, 0, sizeof(login));
    (void) docker_helper_answer(text, rest, &login, &e);
    check(login.username, sizeof(login.username));
    check(login.password, sizeof(login.password));
    check(login.token, sizeof(login.token));
    return 0;
}
