#include "file.h"

#include "../../common/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

ssize_t file_read(const char *path, char *text, size_t size, struct err *e) {
    struct stat st;
    size_t have = 0;
    cleanup_fd int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0)
        return errno == ENOENT ? 0 : err_sys(e, errno, "cannot open %s", path);
    if (fstat(fd, &st) || !S_ISREG(st.st_mode))
        return err_set(e, EINVAL, "%s is not a regular file: make it one, or remove it", path);
    while (have < size) {
        ssize_t n = read(fd, text + have, size - have);
        if (n < 0 && errno != EINTR)
            return err_sys(e, errno, "cannot read %s", path);
        if (n == 0)
            break;
        have += n > 0 ? (size_t) n : 0;
    }
    return (ssize_t) have;
}
