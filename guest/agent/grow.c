/* A disk that the host has made larger: its ext4 follows, by the kernel's own online
 * resize, whose steps the journal keeps whole. Format: the kernel's
 * Documentation/filesystems/ext4/super.rst. */
#include "agent.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#define SUPER_AT       1024
#define SUPER_SIZE     1024
#define EXT4_MAGIC     0xef53u
#define INCOMPAT_64BIT 0x80u
#define RESIZE_FS      _IOW('f', 16, uint64_t) /* EXT4_IOC_RESIZE_FS, fs/ext4/ext4.h */

static uint32_t le32(const uint8_t *at) {
    uint32_t value = 0;
    memcpy(&value, at, sizeof value);
    return le32toh(value);
}

uint64_t agent_ext4_room(const uint8_t super[SUPER_SIZE], uint64_t bytes) {
    uint32_t shift = le32(super + 0x18);
    if ((super[0x38] | super[0x39] << 8) != (int) EXT4_MAGIC || shift > 6)
        return 0;
    uint64_t blocks = le32(super + 0x4), room = bytes >> (10 + shift);
    if (le32(super + 0x60) & INCOMPAT_64BIT)
        blocks |= (uint64_t) le32(super + 0x150) << 32;
    return room > blocks ? room : 0;
}

static uint64_t disk_room(const char *device) {
    uint8_t super[SUPER_SIZE];
    uint64_t bytes = 0, room = 0;
    int fd = open(device, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return 0;
    if (ioctl(fd, BLKGETSIZE64, &bytes) == 0 && pread(fd, super, sizeof super, SUPER_AT) == (ssize_t) sizeof super)
        room = agent_ext4_room(super, bytes);
    (void) close(fd);
    return room;
}

static void disk_grow(const char *target, uint64_t blocks) {
    int fd = open(target, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || ioctl(fd, RESIZE_FS, &blocks) < 0)
        agent_log("%s stays as small as it was, although its disk has grown: %s", target, strerror(errno));
    if (fd >= 0)
        (void) close(fd);
}

static int mount_grown(const char *device, const char *target) {
    /* What a disk has grown by is a hole: its new inode tables are zeros already. */
    const uint64_t room = disk_room(device);
    if (mount(device, target, "ext4", MS_RELATIME, room ? "noinit_itable" : NULL) < 0)
        return -errno;
    if (room)
        disk_grow(target, room);
    return 0;
}

/* By the image's own e2fsck, where it is there already and has one. */
static int disk_mend(const char *device) {
    char *const argv[] = {(char *) "e2fsck", (char *) "-p", (char *) device, NULL};
    char *const envp[] = {NULL};
    int status = 0;
    const pid_t pid = fork();
    if (pid == 0) {
        (void) execve("/sbin/e2fsck", argv, envp);
        (void) execve("/usr/sbin/e2fsck", argv, envp);
        _exit(127);
    }
    while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    return pid > 0 && WIFEXITED(status) && WEXITSTATUS(status) <= 1 ? 0 : -EUCLEAN;
}

int agent_disk_mount(const char *device, const char *target) {
    /* Superblock and descriptors of a disk that grew are one write, which a loss of power may leave in part. The
     * journal has both, and the kernel looks at the descriptors before it replays that; e2fsck after. */
    int code = mount_grown(device, target);
    if (code != -EUCLEAN || disk_mend(device) < 0)
        return code;
    agent_log("%s was not whole: e2fsck has mended it", device);
    return mount_grown(device, target);
}
