#include "agent.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The next NUL-terminated string of the text, or NULL at its end. */
static char *string_next(char **at, const char *end) {
    char *string = *at;
    char *stop = memchr(string, '\0', (size_t) (end - string));
    if (stop)
        *at = stop + 1;
    return stop ? string : NULL;
}

static char **strings_take(char **at, const char *end, uint32_t count) {
    char **list = calloc((size_t) count + 1, sizeof *list);
    for (uint32_t i = 0; list && i < count; i++) {
        list[i] = string_next(at, end);
        if (!list[i]) {
            free(list);
            return NULL;
        }
    }
    return list;
}

/* An exact fit is more than tidiness: an OPEN that a disconnect cut short and the
 * next connection's padding filled with zeros has too many NULs, and so can never
 * run as a shorter command. */
int agent_open_parse(const uint8_t *payload, size_t size, struct agent_open *open) {
    struct mux_open head;
    *open = (struct agent_open){0};
    if (size < sizeof head)
        return -EINVAL;
    memcpy(&head, payload, sizeof head);
    size_t rest = size - sizeof head;
    if (head.argc < 1 || head.argc > rest || head.envc > rest || (head.flags & ~MUX_OPEN_FLAGS))
        return -EINVAL;
    open->flags = head.flags;
    open->rows = head.rows;
    open->cols = head.cols;
    open->text = malloc(rest);
    if (!open->text)
        return -ENOMEM;
    memcpy(open->text, payload + sizeof head, rest);
    char *at = open->text;
    const char *end = open->text + rest;
    open->cwd = string_next(&at, end);
    open->user = open->cwd ? string_next(&at, end) : NULL;
    if (open->user)
        open->argv = strings_take(&at, end, head.argc);
    if (open->argv)
        open->envp = strings_take(&at, end, head.envc);
    int good = open->envp && at == end;
    for (uint32_t i = 0; good && i < head.envc; i++)
        good = open->envp[i][0] != '=' && strchr(open->envp[i], '=') != NULL;
    if (good)
        return 0;
    agent_open_free(open);
    return -EINVAL;
}

void agent_open_free(struct agent_open *open) {
    free(open->argv);
    free(open->envp);
    free(open->text);
    *open = (struct agent_open){0};
}

/* 1 when `envp` sets the variable that `entry` sets. */
static int environment_has(char *const envp[], const char *entry) {
    size_t name = (size_t) (strchr(entry, '=') - entry) + 1;
    for (size_t i = 0; envp[i]; i++)
        if (strncmp(envp[i], entry, name) == 0)
            return 1;
    return 0;
}

char **agent_environment(const struct agent_user *user, int tty, char *const envp[]) {
    enum { DEFAULTS = 7, TEXT = 1024 };
    size_t count = 0;
    while (envp[count])
        count++;
    char **list = calloc(1, (count + DEFAULTS + 1) * sizeof *list + TEXT);
    if (!list)
        return NULL;
    const char *path = user->uid == 0 ? "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
                                      : "/usr/local/bin:/usr/bin:/bin:/usr/local/games:/usr/games";
    const char *defaults[DEFAULTS][2] = {{"HOME=", user->home},
                                         {"USER=", user->name},
                                         {"LOGNAME=", user->name},
                                         {"SHELL=", user->shell},
                                         {"PATH=", path},
                                         {"LANG=", "C.UTF-8"},
                                         {"TERM=", tty ? "xterm-256color" : NULL}};
    char *text = (char *) (list + count + DEFAULTS + 1);
    size_t at = 0, used = 0;
    for (size_t i = 0; i < DEFAULTS; i++) {
        if (!defaults[i][1] || environment_has(envp, defaults[i][0]))
            continue;
        int size = snprintf(text + at, TEXT - at, "%s%s", defaults[i][0], defaults[i][1]);
        if (size < 0 || (size_t) size >= TEXT - at)
            break;
        list[used++] = text + at;
        at += (size_t) size + 1;
    }
    for (size_t i = 0; i < count; i++)
        list[used++] = envp[i];
    return list;
}
