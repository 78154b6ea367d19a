#include "agent.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* By what a workspace says which tools it needs. */
static int asks(const char *folder) {
    static const char *const names[] = {".mise.toml", "mise.toml", ".tool-versions"};
    char file[4200];
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        int size = snprintf(file, sizeof file, "%s/%s", folder, names[i]);
        if (size > 0 && (size_t) size < sizeof file && access(file, F_OK) == 0)
            return 1;
    }
    return 0;
}

int agent_path_next(const char **at, const char *name, char *file, size_t size) {
    while (*at) {
        const char *from = *at, *stop = strchrnul(from, ':');
        int length = snprintf(file, size, "%.*s%s%s", (int) (stop - from), from, stop > from ? "/" : "./", name);
        *at = *stop ? stop + 1 : NULL;
        if (length > 0 && (size_t) length < size)
            return 1;
    }
    return 0;
}

/* In PATH, or where its own installer puts it. */
static int find(const char *path, const char *home, char *file, size_t size) {
    while (agent_path_next(&path, "mise", file, size))
        if (access(file, X_OK) == 0)
            return 1;
    int length = snprintf(file, size, "%s/.local/bin/mise", home);
    return length > 0 && (size_t) length < size && access(file, X_OK) == 0;
}

char **agent_tools_words(const struct agent_open *open, const char *path, const char *home) {
    enum { OWN = 3 };
    char file[4096];
    if (!(open->flags & MUX_OPEN_WORKSPACE) || !asks(open->cwd) || !find(path, home, file, sizeof file))
        return NULL;
    size_t count = 0, length = strlen(file) + 1;
    while (open->argv[count])
        count++;
    char **words = malloc((OWN + count + 1) * sizeof *words + length);
    if (!words)
        return NULL;
    words[0] = memcpy(words + OWN + count + 1, file, length);
    words[1] = (char *) "exec";
    words[2] = (char *) "--";
    memcpy(words + OWN, open->argv, (count + 1) * sizeof *words);
    return words;
}
