#include "jail.h"

#include "../../../common/io.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int jailargs_check(const struct jail_args *args) {
    if (args->magic != JAIL_ARGS_MAGIC || args->reserved != 0)
        return -EBADMSG;
    if (args->argc > JAIL_ARGS_MAX || args->used > JAIL_ARGS_TEXT)
        return -EBADMSG;
    if (args->used > 0 && args->text[args->used - 1] != '\0')
        return -EBADMSG;
    uint32_t strings = 0;
    for (uint32_t i = 0; i < args->used; i++)
        strings += args->text[i] == '\0';
    return strings == args->argc ? 0 : -EBADMSG;
}

int jailargs_read(int fd, struct jail_args *out) {
    struct stat st;
    if (fstat(fd, &st))
        return -errno;
    if (!S_ISREG(st.st_mode) || st.st_size != (off_t) sizeof(*out))
        return -EBADMSG;
    if (lseek(fd, 0, SEEK_SET) < 0)
        return -errno;
    int r = io_read(fd, out, sizeof(*out));
    return r ? r : jailargs_check(out);
}

void jailargs_vector(struct jail_args *args, char *binary, char **argv) {
    char *at = args->text;
    argv[0] = binary;
    for (uint32_t i = 0; i < args->argc; i++) {
        argv[i + 1] = at;
        at += strlen(at) + 1;
    }
    argv[args->argc + 1] = NULL;
}
