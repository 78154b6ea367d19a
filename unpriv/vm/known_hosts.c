/* The host keys that ssh has accepted (cli/ssh_settings.h): each host name's in a file of its
 * own, which goes with the VM, however it is deleted. */
#include "internal.h"

#include "../../common/cleanup.h"
#include "../daemon/engine.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

int vm_known_hosts_drop(const char *name, struct err *e) {
    const size_t length = strlen(name);
    int r = 0;
    int fd = vm_open(engine.state, "ssh/hosts", O_RDONLY | O_DIRECTORY);
    DIR *folder = fd < 0 ? NULL : fdopendir(fd);
    if (!folder) {
        r = fd < 0 ? -fd : errno;
        if (fd >= 0)
            (void) close(fd);
        return r == ENOENT ? 0 : err_sys(e, r, "cannot open %s/ssh/hosts", engine.state_path);
    }
    /* NAME.vm, NAME.ACCOUNT.vm: no VM's name has a dot. */
    for (const struct dirent *entry; (entry = readdir(folder));) {
        if (strncmp(entry->d_name, name, length) == 0 && entry->d_name[length] == '.' &&
            unlinkat(dirfd(folder), entry->d_name, 0) && errno != ENOENT)
            r = err_sys(e, errno, "cannot remove %s/ssh/hosts/%s", engine.state_path, entry->d_name);
    }
    (void) closedir(folder);
    return r;
}
