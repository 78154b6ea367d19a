/* What differs between images: folders that are missing, the init that is there. */
#include "agent.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

void agent_folder_make(const char *path, mode_t mode) {
    struct stat about;
    if (lstat(path, &about) == 0 && S_ISDIR(about.st_mode))
        return;
    (void) unlink(path);
    if (mkdir(path, mode) < 0)
        agent_log("cannot make %s: %s", path, strerror(errno));
}

void agent_tmp_make(void) {
    struct stat about;
    if (stat("/tmp", &about) == 0)
        return;
    agent_folder_make("/tmp", 0755);
    (void) chmod("/tmp", 01777);
}

static int is_program(const char *path) {
    struct stat about;
    return stat(path, &about) == 0 && S_ISREG(about.st_mode) && access(path, X_OK) == 0;
}

/* The path is a link to a program of that name. */
static int leads_to(const char *path, const char *name) {
    char target[256] = "";
    ssize_t size = readlink(path, target, sizeof target - 1);
    const char *slash = size > 0 ? strrchr(target, '/') : NULL;
    return size > 0 && strcmp(slash ? slash + 1 : target, name) == 0;
}

/* Takes "ID:LEVELS:sysinit:PROGRAM ARGUMENTS" apart, in place: the program, NULL for any other line. */
static const char *sysinit_of(char *line) {
    const char *field = NULL;
    for (int i = 0; i < 3 && line; i++)
        field = strsep(&line, ":");
    if (!line || !field || strcmp(field, "sysinit") != 0)
        return NULL;
    line += strspn(line, " \t");
    line[strcspn(line, " \t\n")] = '\0';
    return line;
}

int agent_inittab_works(FILE *inittab) {
    char line[512];
    while (inittab && fgets(line, sizeof line, inittab)) {
        const char *program = line[0] == '#' ? NULL : sysinit_of(line);
        if (program)
            return program[0] == '/' && is_program(program);
    }
    return !inittab && is_program("/etc/init.d/rcS");
}

/* Busybox brings an init wherever it is installed; only with something to start it is one. */
static int busybox_starts(void) {
    FILE *inittab = fopen("/etc/inittab", "re");
    int works = agent_inittab_works(inittab);
    if (inittab)
        (void) fclose(inittab);
    return works;
}

const char *agent_init_find(void) {
    static const char *const list[] = {"/sbin/init",       "/usr/sbin/init",     "/lib/systemd/systemd",
                                       "/etc/init",        "/bin/init",          "/sbin/openrc-init",
                                       "/sbin/runit-init", "/usr/bin/runit-init"};
    for (size_t i = 0; i < sizeof list / sizeof *list; i++)
        if (is_program(list[i]) && (!leads_to(list[i], "busybox") || busybox_starts()))
            return list[i];
    return NULL;
}

int agent_is_systemd(const char *init) {
    return init && (leads_to(init, "systemd") || strstr(init, "systemd") != NULL);
}

const char *const *agent_poweroff_command(const char *init) {
    enum { OPENRC = 1, RUNIT = 4, COMMANDS = 9 }; /* that many of them are the one's and the other's own */
    static const char *const commands[][COMMANDS][4] = {{{"/sbin/openrc-shutdown", "-p", "now", NULL},
                                                         {"/sbin/runit-init", "0", NULL},
                                                         {"/usr/bin/runit-init", "0", NULL},
                                                         {"/lib/runit/runit-init", "0", NULL},
                                                         {"/sbin/poweroff", NULL},
                                                         {"/usr/sbin/poweroff", NULL},
                                                         {"/bin/poweroff", NULL},
                                                         {"/usr/bin/poweroff", NULL},
                                                         {"/bin/busybox", "poweroff", NULL}},
                                                        {{"/sbin/openrc-shutdown", "-r", "now", NULL},
                                                         {"/sbin/runit-init", "6", NULL},
                                                         {"/usr/bin/runit-init", "6", NULL},
                                                         {"/lib/runit/runit-init", "6", NULL},
                                                         {"/sbin/reboot", NULL},
                                                         {"/usr/sbin/reboot", NULL},
                                                         {"/bin/reboot", NULL},
                                                         {"/usr/bin/reboot", NULL},
                                                         {"/bin/busybox", "reboot", NULL}}};
    for (size_t i = 0; i < COMMANDS; i++) {
        int fits = i >= RUNIT || (i >= OPENRC ? strncmp(init, "runit", 5) == 0 : strcmp(init, "openrc-init") == 0);
        const char *const *command = commands[agent_resets()][i];
        if (fits && is_program(command[0]))
            return command;
    }
    return NULL;
}
