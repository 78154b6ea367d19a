/* The empty root that the net and the disk worker live in. */
#include "helper.h"

#include <errno.h>
#include <linux/capability.h>
#include <sched.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

/* `result` of a call made with one capability raised: 0 or a negative errno. */
#define WITH(cap, call) (cap_raise(cap), r = (call) ? -errno : 0, cap_lower(), r)

/* The mount point is any folder that is there; the root is swapped before anyone sees it. */
static int mount_root(void) {
    char folder[] = BANGER_POLICY;
    int r;
    *strrchr(folder, '/') = '\0';
    if (WITH(CAP_SYS_ADMIN, unshare(CLONE_NEWNS)) ||
        WITH(CAP_SYS_ADMIN, mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL)) ||
        WITH(CAP_SYS_ADMIN,
             mount("banger", ROOT_BUILD_PATH, "tmpfs", MS_NOSUID | MS_NOEXEC, "mode=0755,size=64k,nr_inodes=64")))
        return r;
    if (mkdir(ROOT_BUILD_PATH "/policy", 0755))
        return -errno;
    if (WITH(CAP_SYS_ADMIN, mount(folder, ROOT_BUILD_PATH "/policy", NULL, MS_BIND, NULL)) && r != -ENOENT)
        return r;
    return 0;
}

static int make_node(const struct root_node *node) {
    char path[64] = ROOT_BUILD_PATH "/";
    int r;
    (void) strncat(path, node->path, sizeof(path) - sizeof(ROOT_BUILD_PATH "/"));
    for (char *slash = strchr(path + sizeof(ROOT_BUILD_PATH), '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        if (mkdir(path, 0755) && errno != EEXIST)
            return -errno;
        *slash = '/';
    }
    return WITH(CAP_MKNOD, mknod(path, S_IFCHR | 0600, makedev(node->major, node->minor)));
}

int root_enter(const struct root_node *nodes, size_t count, int (*before)(void), int writable) {
    unsigned long flags = MS_REMOUNT | MS_NOSUID | MS_NOEXEC | (writable ? 0ul : MS_RDONLY);
    int r = mount_root();
    for (size_t i = 0; !r && i < count; i++)
        r = make_node(&nodes[i]);
    if (!r && before)
        r = before();
    if (r || WITH(CAP_SYS_ADMIN, (int) syscall(SYS_pivot_root, ROOT_BUILD_PATH, ROOT_BUILD_PATH)) ||
        WITH(CAP_SYS_ADMIN, umount2("/", MNT_DETACH)) || WITH(CAP_SYS_ADMIN, mount(NULL, "/", NULL, flags, NULL)))
        return r;
    return chdir("/") ? -errno : 0;
}
