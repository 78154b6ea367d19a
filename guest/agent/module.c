#include "agent.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static int visible(const struct dirent *entry) {
    return entry->d_name[0] != '.';
}

static void load(int folder, const char *name) {
    int fd = openat(folder, name, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || (syscall(SYS_finit_module, fd, "", 0) < 0 && errno != EEXIST && errno != ENODEV))
        agent_log("cannot load the kernel module %s: %s", name, strerror(errno));
    if (fd >= 0)
        (void) close(fd);
}

void agent_modules_load(const char *folder) {
    struct dirent **list = NULL;
    int count = scandir(folder, &list, visible, alphasort);
    int at = open(folder, O_DIRECTORY | O_RDONLY | O_CLOEXEC);
    for (int i = 0; i < count; i++) {
        if (at >= 0)
            load(at, list[i]->d_name);
        free(list[i]);
    }
    free(list);
    if (at >= 0)
        (void) close(at);
}
