/* Fuzzes what text from outside becomes in an error's sentence and in the log: one
 * line of JSON, no byte in it that a terminal or a line reader takes for its own. */
#include "../common/err.h"
#include "../common/log.h"

#include <cjson/cJSON.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* C0, DEL, and C1 as UTF-8 or raw (a byte of 0x80 to 0x9f that continues no sequence). */
static void check_text(const char *text) {
    const unsigned char *s = (const unsigned char *) text;
    for (int left = 0; *s; s++) {
        int continues = left > 0 && (*s & 0xc0) == 0x80;
        if (*s < 0x20 || *s == 0x7f || (*s >= 0x80 && *s < 0xc0 && !continues))
            abort();
        if (left > 0 && !continues)
            abort();
        if (s[0] == 0xc2 && s[1] < 0xa0)
            abort();
        left = continues ? left - 1 : *s >= 0xf0 ? 3 : *s >= 0xe0 ? 2 : *s >= 0xc0 ? 1 : 0;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static int file = -1;
    static char text[4096], line[8192];
    struct err e;
    if (file < 0) {
        file = memfd_create("log", MFD_CLOEXEC);
        log_open(file, LOG_LEVEL_DEBUG);
    }
    size = size < sizeof(text) - 1 ? size : sizeof(text) - 1;
    memcpy(text, data, size);
    text[size] = '\0';
    if (err_set(&e, 5, "%s", text) != -5 || e.code != 5 || strlen(e.text) >= ERR_TEXT_MAX)
        abort();
    check_text(e.text);
    (void) err_prefix(&e, "%s", text);
    check_text(e.text);
    if (ftruncate(file, 0) || lseek(file, 0, SEEK_SET))
        abort();
    log_error(1, "%s", text);
    ssize_t n = pread(file, line, sizeof(line) - 1, 0);
    if (n < 2 || line[n - 1] != '\n' || memchr(line, '\n', (size_t) n - 1))
        abort();
    line[n - 1] = '\0';
    check_text(line);
    cJSON *json = cJSON_Parse(line);
    if (!cJSON_IsString(cJSON_GetObjectItemCaseSensitive(json, "text")))
        abort();
    cJSON_Delete(json);
    return 0;
}
