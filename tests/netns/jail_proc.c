#include "jail_world.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LINKS_MAX 64

static int by_name(const void *a, const void *b) {
    return strcmp(*(char *const *) a, *(char *const *) b);
}

/* Names of a folder, sorted, with a blank after each. */
static const char *names_of(const char *path) {
    static char text[4096];
    char *names[256];
    size_t count = 0;
    DIR *dir = opendir(path);
    struct dirent *entry;
    while (dir && (entry = readdir(dir)) && count < 256) {
        if (entry->d_name[0] != '.')
            names[count++] = strdup(entry->d_name);
    }
    if (dir)
        closedir(dir);
    qsort(names, count, sizeof(*names), by_name);
    text[0] = '\0';
    for (size_t i = 0; i < count; i++) {
        strncat(text, names[i], sizeof(text) - strlen(text) - 2);
        strcat(text, " ");
        free(names[i]);
    }
    return text;
}

static void status_line(const char *who, pid_t pid, const char *key, const char *wanted) {
    char path[64], line[256], name[128], got[128] = "missing";
    snprintf(path, sizeof(path), "/proc/%d/status", pid);
    FILE *f = fopen(path, "re");
    while (f && fgets(line, sizeof(line), f)) {
        size_t length = strlen(key);
        if (strncmp(line, key, length) == 0 && line[length] == ':')
            sscanf(line + length + 1, " %127[^\n]", got);
    }
    if (f)
        fclose(f);
    snprintf(name, sizeof(name), "%s: %s is %s", who, key, wanted);
    check(strcmp(got, wanted) == 0, name, "it is %s", got);
}

/* How far the VMM went towards its limit of address space; a tenth must be left. */
static void address_space(pid_t pid) {
    char path[64], line[256];
    unsigned long peak = 0, most = 0, resident = 0;
    snprintf(path, sizeof(path), "/proc/%d/status", pid);
    FILE *f = fopen(path, "re");
    while (f && fgets(line, sizeof(line), f))
        (void) (sscanf(line, "VmPeak: %lu", &peak) + sscanf(line, "VmHWM: %lu", &resident));
    if (f)
        fclose(f);
    snprintf(path, sizeof(path), "/proc/%d/limits", pid);
    f = fopen(path, "re");
    while (f && fgets(line, sizeof(line), f))
        sscanf(line, "Max address space %lu", &most);
    if (f)
        fclose(f);
    printf("    VmPeak %lu MiB of %lu MiB, VmHWM %lu MiB\n", peak >> 10, most >> 20, resident >> 10);
    check(peak && peak << 10 < most / 10 * 9, "vmm: its limit of address space is not near", "%lu of %lu KiB", peak,
          most >> 10);
}

static void namespaces(const char *who, pid_t pid, enum wire_style style) {
    static const char *const kinds[] = {"mnt", "pid", "ipc", "uts", "cgroup", "net"};
    for (size_t i = 0; i < 6; i++) {
        char path[64], here[64] = "", there[64] = "", name[64];
        snprintf(path, sizeof(path), "/proc/self/ns/%s", kinds[i]);
        (void) !readlink(path, here, sizeof(here) - 1);
        snprintf(path, sizeof(path), "/proc/%d/ns/%s", pid, kinds[i]);
        (void) !readlink(path, there, sizeof(there) - 1);
        int shared = style == SPAWN_BY_NAME && strcmp(kinds[i], "net") == 0;
        snprintf(name, sizeof(name), "%s: %s %s namespace", who, shared ? "the host's" : "own", kinds[i]);
        check(*here && *there && (strcmp(here, there) == 0) == shared, name, "%s and %s", here, there);
    }
}

/* Where descriptor `fd` leads. */
static const char *link_of(pid_t pid, const char *fd, char out[256]) {
    char path[300];
    snprintf(path, sizeof(path), "/proc/%d/fd/%s", pid, fd);
    ssize_t n = readlink(path, out, 255);
    out[n > 0 ? n : 0] = '\0';
    return out;
}

/* banger-jail: /dev/null three times, its three files, a signalfd and two pipes, of which one is the
 * log's fifo where the VMM opens that by name. */
static void jail_descriptors(pid_t pid) {
    char path[64], link[256], seen[4096] = "";
    static const char *const wanted[] = {"/log", "/status", "/console"};
    int found[3] = {0}, null = 0, pipes = 0, signals = 0, other = 0;
    snprintf(path, sizeof(path), "/proc/%d/fd", pid);
    char *names = strdup(names_of(path)), *state = NULL;
    for (char *fd = strtok_r(names, " ", &state); fd; fd = strtok_r(NULL, " ", &state)) {
        size_t length = strlen(link_of(pid, fd, link));
        snprintf(seen + strlen(seen), sizeof(seen) - strlen(seen), "%s=%s ", fd, link);
        int known = 0;
        for (size_t i = 0; i < 3; i++) {
            size_t tail = strlen(wanted[i]);
            known |= found[i] +=
                length > tail && strcmp(link + length - tail, wanted[i]) == 0 && atoi(fd) == (int) i + 4;
        }
        if (strcmp(link, "/dev/null") == 0)
            null++;
        else if (strncmp(link, "pipe:", 5) == 0 || (strcmp(link, "/vm/log") == 0 && atoi(fd) > 6))
            pipes++;
        else if (strstr(link, "signalfd"))
            signals++;
        else
            other += !(atoi(fd) >= 4 && atoi(fd) <= 6 && known);
    }
    free(names);
    check(null == 3 && pipes == 2 && signals == 1 && other == 0 && found[0] && found[1] && found[2],
          "jail: holds its log, status, console and nothing more", "it holds %s", seen);
}

/* The VMM: the declared numbers, and what it opened itself in its jail. */
static void vmm_descriptors(pid_t pid) {
    char path[64], link[256], bad[4096] = "";
    snprintf(path, sizeof(path), "/proc/%d/fd", pid);
    char *names = strdup(names_of(path)), *state = NULL;
    int declared = 0;
    for (char *fd = strtok_r(names, " ", &state); fd; fd = strtok_r(NULL, " ", &state)) {
        int number = atoi(fd);
        link_of(pid, fd, link);
        int is_declared = number < 3 || (number >= SPAWN_FD_NUMBER(SPAWN_ROOT) && number <= SPAWN_FD_NUMBER(SPAWN_TAP));
        declared += is_declared;
        int own = strncmp(link, "anon_inode:", 11) == 0 || strncmp(link, "socket:", 7) == 0 ||
                  strcmp(link, "/dev/urandom") == 0 || (world.kvm && strcmp(link, "/dev/kvm") == 0) ||
                  strstr(link, "/root.img") || strstr(link, "/work.img");
        if (!is_declared && !own)
            snprintf(bad + strlen(bad), sizeof(bad) - strlen(bad), "%s=%s ", fd, link);
    }
    free(names);
    check(declared == 3 + 5 && !*bad, "vmm: holds what was declared and nothing of the jail's", "%d declared; also %s",
          declared, bad);
}

/* Each mount of the jail, and the flags it must have. */
static void mounts(pid_t pid, enum wire_style style) {
    static const struct wanted {
        const char *at, *flags[4];
    } common[] =
        {
            {"/", {"ro", "nosuid", "noexec"}},
            {"/banger-jail", {"ro", "nosuid", "nodev"}},
            {"/kernel", {"ro", "nodev", "noexec"}},
            {"/initrd", {"ro", "nodev", "noexec"}},
            {"/vm", {"rw", "nosuid", "nodev", "noexec"}},
        },
      by_fd[] = {{"/usr", {"ro", "nosuid", "nodev"}}},
      by_name[] = {
          {"/root.ext4", {"rw", "nosuid", "nodev", "noexec"}},
          {"/work.ext4", {"rw", "nosuid", "nodev", "noexec"}},
          {BANGER_LIBEXECDIR "/jail-named", {"ro", "nosuid", "nodev"}},
      };
    struct wanted wanted[8];
    const size_t more = style == SPAWN_BY_NAME ? 3 : 1, most = 5 + more;
    memcpy(wanted, common, sizeof(common));
    memcpy(wanted + 5, style == SPAWN_BY_NAME ? by_name : by_fd, more * sizeof(*wanted));
    char path[64], line[4096], at[1024], flags[256];
    size_t count = 0, good = 0;
    snprintf(path, sizeof(path), "/proc/%d/mountinfo", pid);
    FILE *f = fopen(path, "re");
    while (f && fgets(line, sizeof(line), f)) {
        count++;
        if (sscanf(line, "%*d %*d %*s %*s %1023s %255s", at, flags) != 2)
            continue;
        strcat(flags, ",");
        for (size_t i = 0; i < most; i++) {
            int all = strcmp(at, wanted[i].at) == 0;
            for (size_t j = 0; j < 4 && wanted[i].flags[j]; j++) {
                char flag[16];
                snprintf(flag, sizeof(flag), "%s,", wanted[i].flags[j]);
                all = all && strstr(flags, flag);
            }
            good += (size_t) all;
        }
    }
    if (f)
        fclose(f);
    check(count == most && good == most, "jail: exactly its mounts, with the right flags", "%zu mounts, %zu right",
          count, good);
}

void check_jail(const struct vm *vm) {
    char path[64], uid[64];
    as_root();
    pid_t vmm = child_of(vm->pid);
    const struct {
        const char *who;
        pid_t pid;
    } both[] = {{"jail", vm->pid}, {"vmm", vmm}};
    snprintf(uid, sizeof(uid), "%u\t%u\t%u\t%u", world.uid, world.uid, world.uid, world.uid);
    for (size_t i = 0; i < 2; i++) {
        static const char *const none[] = {"CapInh", "CapPrm", "CapEff", "CapAmb"};
        for (size_t j = 0; j < 4; j++)
            status_line(both[i].who, both[i].pid, none[j], "0000000000000000");
        status_line(both[i].who, both[i].pid, "NoNewPrivs", "1");
        status_line(both[i].who, both[i].pid, "Seccomp", "2");
        status_line(both[i].who, both[i].pid, "Uid", uid);
        namespaces(both[i].who, both[i].pid, vm->style);
    }
    int by_name = vm->style == SPAWN_BY_NAME;
    if (!by_name)
        address_space(vmm);
    jail_descriptors(vm->pid);
    if (!by_name)
        vmm_descriptors(vmm);
    mounts(vm->pid, vm->style);
    snprintf(path, sizeof(path), "/proc/%d/root", vm->pid);
    const char *names = names_of(path);
    check(strcmp(names, by_name ? "banger-jail bin dev initrd kernel lib lib64 root.ext4 sbin usr vm work.ext4 "
                                : "banger-jail bin dev initrd kernel lib lib64 sbin usr vm ") == 0,
          "jail: its root has no /proc and nothing of the host", "it has %s", names);
    snprintf(path, sizeof(path), "/proc/%d/root/dev", vm->pid);
    names = names_of(path);
    check(strcmp(names, by_name ? "kvm net null urandom " : "kvm null urandom ") == 0, "jail: its device nodes",
          "it has %s", names);
    as_account();
}
