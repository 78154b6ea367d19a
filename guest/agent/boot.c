#include "agent.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/reboot.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#define NEWROOT      "/newroot"
#define DISK_WAIT_MS 30000
/* How long init waits, so that the command a VM was made for starts with the CPU to
 * itself; init's own start takes seconds under emulation. */
#define FIRST_COMMAND_MS 80

static _Noreturn void dead(const char *what, int code) {
    agent_log("%s: %s; the VM is switched off", what, strerror(code));
    sync();
    agent_off();
    for (;;)
        (void) pause();
}

/* File systems that every image needs; options as systemd mounts them, so that it leaves them alone. */
struct mount_point {
    const char *type, *target, *options;
    unsigned long flags;
};

static void mounts_make(const char *root, const struct mount_point *list, size_t count) {
    char path[128];
    for (size_t i = 0; i < count; i++) {
        (void) snprintf(path, sizeof path, "%s%s", root, list[i].target);
        agent_folder_make(path, 0755);
        if (mount(list[i].type, path, list[i].type, list[i].flags, list[i].options) < 0 && errno != EBUSY)
            agent_log("cannot mount %s: %s", path, strerror(errno));
    }
}

static const struct mount_point early[] = {
    {"devtmpfs", "/dev", "mode=755", MS_NOSUID},
    {"proc", "/proc", NULL, MS_NOSUID | MS_NODEV | MS_NOEXEC},
    {"sysfs", "/sys", NULL, MS_NOSUID | MS_NODEV | MS_NOEXEC},
};
static const struct mount_point later[] = {
    {"tmpfs", "/run", "mode=755,size=20%,nr_inodes=800k", MS_NOSUID | MS_NODEV | MS_STRICTATIME},
    {"devpts", "/dev/pts", "mode=620,gid=5,ptmxmode=666", MS_NOSUID | MS_NOEXEC},
    {"tmpfs", "/dev/shm", "mode=1777", MS_NOSUID | MS_NODEV | MS_STRICTATIME},
};
/* What systemd would mount and an image without init lacks. */
static const struct mount_point own[] = {
    {"cgroup2", "/sys/fs/cgroup", "nsdelegate", MS_NOSUID | MS_NODEV | MS_NOEXEC},
    {"mqueue", "/dev/mqueue", NULL, MS_NOSUID | MS_NODEV | MS_NOEXEC},
};
#define COUNT(list) (sizeof(list) / sizeof *(list))

/* 0, 1 and 2 are the console for as long as we boot. */
static void console_open(void) {
    (void) mknod("/dev/console", S_IFCHR | 0600, makedev(5, 1));
    int fd = open("/dev/console", O_RDWR | O_NOCTTY | O_CLOEXEC);
    for (int i = 0; fd >= 0 && i < 3; i++)
        (void) dup2(fd, i);
    if (fd > 2)
        (void) close(fd);
}

/* The block device with that virtio serial, as a path. 0 or -ENOENT. */
static int disk_find(const char *serial, char *path, size_t size) {
    char file[320], text[32];
    DIR *folder = opendir("/sys/block");
    int code = -ENOENT;
    for (const struct dirent *entry; folder && code < 0 && (entry = readdir(folder)) != NULL;) {
        (void) snprintf(file, sizeof file, "/sys/block/%.255s/serial", entry->d_name);
        if (strncmp(entry->d_name, "vd", 2) != 0 || agent_read_file(file, text, sizeof text) < 0 ||
            strcmp(text, serial) != 0)
            continue;
        (void) snprintf(path, size, "/dev/%.50s", entry->d_name);
        code = 0;
    }
    if (folder)
        (void) closedir(folder);
    return code;
}

/* Drops what the kernel read of the disk when it appeared: it may be older than the host's greeting. */
static void disk_forget(const char *path) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return;
    (void) ioctl(fd, BLKFLSBUF, 0);
    (void) close(fd);
}

/* Where the command line names the device, that one, once it is there. */
static int disk_named(const char *device, char *path, size_t size) {
    struct stat about;
    (void) snprintf(path, size, "/dev/%.7s", device);
    return stat(path, &about) == 0 && S_ISBLK(about.st_mode) ? 0 : -ENOENT;
}

/* Waits for the disk of that device's name (""), else of that serial, and mounts it. 0 or a negative errno. */
static int disk_mount(const char *device, const char *serial, const char *target, long long wait_ms) {
    char path[64];
    long long end = agent_now_ms() + wait_ms;
    while ((device[0] ? disk_named(device, path, sizeof path) : disk_find(serial, path, sizeof path)) < 0) {
        if (agent_now_ms() >= end)
            return -ENODEV;
        agent_sleep_ms(2);
    }
    disk_forget(path);
    return agent_disk_mount(path, target);
}

static void root_mount(const char *device) {
    (void) mkdir(NEWROOT, 0755);
    int code = disk_mount(device, "root", NEWROOT, DISK_WAIT_MS);
    if (code < 0)
        dead("cannot mount the root disk", -code);
}

/* After the switch: an image's /root may be a link to somewhere else in it. */
static void work_mount(const char *device) {
    struct stat about;
    if (stat("/root", &about) < 0 || !S_ISDIR(about.st_mode))
        agent_folder_make("/root", 0700);
    /* Disks appear in one go: when root is there, so is work, if the VM has one. */
    int code = disk_mount(device, "work", "/root", 500);
    if (code == -ENODEV)
        agent_log("no work disk: /root lies on the root disk");
    else if (code < 0)
        dead("cannot mount the work disk", -code);
}

/* Frees what the initramfs holds: a flat folder of modules, and this program's file. */
static void initramfs_free(void) {
    DIR *folder = opendir("/modules");
    for (const struct dirent *entry; folder && (entry = readdir(folder)) != NULL;)
        if (entry->d_name[0] != '.')
            (void) unlinkat(dirfd(folder), entry->d_name, 0);
    if (folder)
        (void) closedir(folder);
    (void) rmdir("/modules");
    (void) unlink("/init");
}

static void root_switch(void) {
    for (size_t i = 0; i < COUNT(early); i++) {
        char path[64];
        (void) snprintf(path, sizeof path, NEWROOT "%s", early[i].target);
        agent_folder_make(path, 0755);
        if (mount(early[i].target, path, NULL, MS_MOVE, NULL) < 0)
            dead("cannot move a mount to the root disk", errno);
    }
    if (chdir(NEWROOT) < 0)
        dead("cannot enter the root disk", errno);
    initramfs_free();
    if (mount(".", "/", NULL, MS_MOVE, NULL) < 0 || chroot(".") < 0 || chdir("/") < 0)
        dead("cannot switch to the root disk", errno);
}

static void dev_links(void) {
    static const char *const links[][2] = {{"/proc/self/fd", "/dev/fd"},
                                           {"/proc/self/fd/0", "/dev/stdin"},
                                           {"/proc/self/fd/1", "/dev/stdout"},
                                           {"/proc/self/fd/2", "/dev/stderr"}};
    for (size_t i = 0; i < COUNT(links); i++)
        (void) !symlink(links[i][0], links[i][1]);
}

/* The agent's own process: away from the console, last to be killed for memory. */
static _Noreturn void agent_child(struct agent_port port, char *title, size_t size) {
    (void) setsid();
    int fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    for (int i = 0; fd >= 0 && i < 2; i++)
        (void) dup2(fd, i);
    if (fd > 2)
        (void) close(fd);
    memset(title, 0, size);
    (void) snprintf(title, size, "%s", "banger-agent");
    (void) prctl(PR_SET_NAME, "banger-agent");
    (void) agent_write_file("/proc/self/oom_score_adj", "-1000", 0);
    struct rlimit files = {1024, 524288}; /* as systemd gives to services and logins */
    (void) setrlimit(RLIMIT_NOFILE, &files);
    int names = agent_names_open(AGENT_NAMES_PORT);
    if (names < 0)
        agent_log("there is no resolver at " AGENT_NAMES_ADDRESS ": %s", strerror(-names));
    (void) agent_serve(port);
    _exit(0);
}

_Noreturn void agent_boot(char *title, size_t title_size) {
    char text[4096] = "";
    struct agent_cmdline cmdline;
    (void) umask(022);
    mounts_make("", early, COUNT(early));
    console_open();
    (void) agent_read_file("/proc/cmdline", text, sizeof text);
    agent_cmdline_parse(text, &cmdline);
    agent_modules_load("/modules");
    if (strcmp(cmdline.off, "reset") == 0)
        agent_off_is_reset();
    struct agent_port port = agent_port_open();
    agent_port_wait(&port);
    root_mount(cmdline.root);
    agent_net_up(&cmdline);
    root_switch();
    work_mount(cmdline.work);
    mounts_make("", later, COUNT(later));
    dev_links();
    agent_tmp_make();
    const char *init = agent_init_find();
    agent_etc_write("", &cmdline, agent_is_systemd(init));
    if (!init)
        mounts_make("", own, COUNT(own));
    pid_t pid = fork();
    if (pid < 0)
        dead("cannot start the agent", errno);
    if (pid == 0)
        agent_child(port, title, title_size);
    (void) close(port.fd);
    (void) close(port.listener);
    if (init) {
        agent_sleep_ms(FIRST_COMMAND_MS);
        char *argv[] = {(char *) init, NULL}, *envp[] = {(char *) "TERM=linux", (char *) "HOME=/", NULL};
        (void) execve(init, argv, envp);
        agent_log("cannot run %s: %s; the agent's own init goes on", init, strerror(errno));
    }
    agent_init();
}
