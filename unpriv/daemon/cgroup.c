#include "cgroup.h"

#include "../../common/cleanup.h"
#include "../../common/io.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#define LEAF     "daemon"
#define VM_NAME  "vm-%03x"
#define REMEDY   "; for ceilings run bangerd as a service: `banger daemon stop`, `systemctl --user enable --now bangerd`"
#define DIR_OPEN (O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)

static struct {
    int base; /* the delegated folder, -1 for none */
    char why[256];
} cgroup = {.base = -1};

static int no_cgroups(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static int no_cgroups(const char *fmt, ...) {
    va_list list;
    va_start(list, fmt);
    (void) vsnprintf(cgroup.why, sizeof(cgroup.why), fmt, list);
    va_end(list);
    return -1;
}

/* --- files of a cgroup --------------------------------------------------------------- */

static ssize_t read_file(int dir, const char *name, char *text, size_t size) {
    cleanup_fd int fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    ssize_t n = fd < 0 ? -errno : io_read_some(fd, text, size - 1);
    text[n > 0 ? n : 0] = '\0';
    return n;
}

static int write_file(int dir, const char *name, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
static int write_file(int dir, const char *name, const char *fmt, ...) {
    char text[64];
    va_list list;
    va_start(list, fmt);
    int n = vsnprintf(text, sizeof(text), fmt, list);
    va_end(list);
    cleanup_fd int fd = openat(dir, name, O_WRONLY | O_NOFOLLOW | O_CLOEXEC);
    return fd < 0 || write(fd, text, (size_t) n) != n ? -errno : 0;
}

static int has_word(const char *text, const char *word) {
    const size_t length = strlen(word);
    for (const char *at = strstr(text, word); at; at = strstr(at + 1, word)) {
        if ((at == text || at[-1] == ' ') && strchr(" \n", at[length]))
            return 1;
    }
    return 0;
}

/* --- bangerd's own ------------------------------------------------------------------- */

/* The hierarchy's mount: the unified layout's, or the hybrid one's. */
static const char *find_mount(void) {
    static const char *const places[] = {"/sys/fs/cgroup", "/sys/fs/cgroup/unified"};
    struct statfs fs;
    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        if (statfs(places[i], &fs) == 0 && fs.f_type == CGROUP2_SUPER_MAGIC)
            return places[i];
    }
    return NULL;
}

/* The v2 line of /proc/self/cgroup (cgroups(7)), "0::/path": its path in `text`, or NULL. */
static char *own_path(char *text, size_t size) {
    if (read_file(AT_FDCWD, "/proc/self/cgroup", text, size) < 0)
        return NULL;
    char *line = strncmp(text, "0::/", 4) == 0 ? text : strstr(text, "\n0::/");
    if (!line)
        return NULL;
    line += *line == '\n' ? 4 : 3;
    line[strcspn(line, "\n")] = '\0';
    return strstr(line, "/..") ? NULL : line; /* outside of this namespace's */
}

static int is_delegated(int dir) {
    struct stat st;
    return fstat(dir, &st) == 0 && st.st_uid == geteuid() && faccessat(dir, "cgroup.procs", W_OK, AT_EACCESS) == 0 &&
           faccessat(dir, "cgroup.subtree_control", W_OK, AT_EACCESS) == 0;
}

/* The folder below which VMs get theirs, or -1 with the reason. A service that was started
 * in its leaf (DelegateSubgroup=) has it one above. */
static int open_base(void) {
    char text[8192];
    char path[PATH_MAX];
    const char *mount = find_mount();
    char *own = own_path(text, sizeof(text));
    if (!mount || !own)
        return no_cgroups("this system has no cgroup v2 hierarchy, so VMs have no ceilings but their own limits");
    const size_t length = strlen(own);
    if (length > strlen("/" LEAF) && strcmp(own + length - strlen("/" LEAF), "/" LEAF) == 0)
        own[length - strlen("/" LEAF)] = '\0';
    if ((size_t) snprintf(path, sizeof(path), "%s%s", mount, own) >= sizeof(path))
        return no_cgroups("the name of bangerd's cgroup is too long");
    int dir = open(path, DIR_OPEN);
    if (dir >= 0 && is_delegated(dir))
        return dir;
    if (dir >= 0)
        (void) close(dir);
    return no_cgroups("bangerd's cgroup %.80s is not the account's own" REMEDY, own);
}

/* Processes may only be in leaves once controllers are switched on. */
static int switch_on(int dir) {
    char text[512];
    (void) read_file(dir, "cgroup.controllers", text, sizeof(text));
    if (!has_word(text, "memory") || !has_word(text, "pids"))
        return no_cgroups("bangerd's cgroup lacks the controllers memory and pids" REMEDY);
    if (mkdirat(dir, LEAF, 0700) && errno != EEXIST)
        return no_cgroups("cannot make a cgroup: %s", strerror(errno));
    int r = write_file(dir, LEAF "/cgroup.procs", "0");
    if (r == 0)
        r = write_file(dir, "cgroup.subtree_control", "+memory +pids");
    if (r == 0)
        return 0;
    (void) write_file(dir, "cgroup.procs", "0");
    (void) unlinkat(dir, LEAF, AT_REMOVEDIR);
    if (r == -EBUSY)
        return no_cgroups("other processes are in bangerd's cgroup" REMEDY);
    return no_cgroups("cannot switch controllers on for VMs: %s", strerror(-r));
}

static void remove_stale(int base) {
    DIR *dir = fdopendir(openat(base, ".", DIR_OPEN));
    if (!dir)
        return;
    for (const struct dirent *entry = readdir(dir); entry; entry = readdir(dir)) {
        if (strncmp(entry->d_name, "vm-", 3) == 0)
            (void) unlinkat(base, entry->d_name, AT_REMOVEDIR);
    }
    (void) closedir(dir);
}

void cgroup_open(void) {
    cgroup.why[0] = '\0';
    int dir = open_base();
    if (dir < 0)
        return;
    if (switch_on(dir)) {
        (void) close(dir);
        return;
    }
    cgroup.base = dir;
    remove_stale(dir);
}

const char *cgroup_why(void) {
    return cgroup.why;
}

/* --- VMs' ---------------------------------------------------------------------------- */

static int set_ceilings(int dir, uint32_t memory_mib, uint32_t vcpus) {
    int r = write_file(dir, "memory.max", "%llu", (memory_mib + CGROUP_HEADROOM_MIB) * (1ull << 20));
    if (r == 0)
        r = write_file(dir, "memory.oom.group", "1"); /* a VMM without one of its threads or its jail is none */
    if (r == 0)
        r = write_file(dir, "pids.max", "%u", CGROUP_TASKS + vcpus);
    if (r)
        return r;
    r = write_file(dir, "memory.swap.max", "0");
    return r == -ENOENT ? 0 : r; /* a kernel without swap accounting */
}

int cgroup_vm(uint32_t slot, uint32_t memory_mib, uint32_t vcpus) {
    char name[16];
    if (cgroup.base < 0)
        return -EOPNOTSUPP;
    cgroup_vm_end(slot);
    (void) snprintf(name, sizeof(name), VM_NAME, slot & 0xfffu);
    if (mkdirat(cgroup.base, name, 0700) && errno != EEXIST)
        return -errno;
    int dir = openat(cgroup.base, name, DIR_OPEN);
    if (dir < 0)
        return -errno;
    int r = set_ceilings(dir, memory_mib, vcpus);
    if (r == 0)
        return dir;
    (void) close(dir);
    cgroup_vm_end(slot);
    return r;
}

void cgroup_vm_end(uint32_t slot) {
    char name[16];
    (void) snprintf(name, sizeof(name), VM_NAME, slot & 0xfffu);
    if (cgroup.base >= 0)
        (void) unlinkat(cgroup.base, name, AT_REMOVEDIR);
}

/* The number after `label` at the beginning of a file of the cgroup's. */
static int read_number(int dir, const char *file, const char *label, uint64_t *out) {
    char text[1024];
    char *end = NULL;
    const size_t length = strlen(label);
    ssize_t n = read_file(dir, file, text, sizeof(text));
    if (n < 0)
        return (int) n;
    if (strncmp(text, label, length) != 0)
        return -EPROTO;
    *out = strtoull(text + length, &end, 10);
    return end == text + length ? -EPROTO : 0;
}

int cgroup_usage(int dir, uint64_t *cpu_us, uint64_t *memory) {
    uint64_t populated = 0;
    int r = read_number(dir, "cgroup.events", "populated ", &populated);
    if (r == 0 && !populated)
        return -ESRCH;
    if (r == 0)
        r = read_number(dir, "cpu.stat", "usage_usec ", cpu_us);
    return r ? r : read_number(dir, "memory.current", "", memory);
}

int cgroup_vm_usage(uint32_t slot, uint64_t *cpu_us, uint64_t *memory) {
    char name[16];
    if (cgroup.base < 0)
        return -EOPNOTSUPP;
    (void) snprintf(name, sizeof(name), VM_NAME, slot & 0xfffu);
    cleanup_fd int dir = openat(cgroup.base, name, DIR_OPEN);
    return dir < 0 ? -errno : cgroup_usage(dir, cpu_us, memory);
}
