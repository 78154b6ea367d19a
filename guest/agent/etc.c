#include "agent.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FILE_MAX = 65536 };

static void report(const char *path, int code) {
    if (code < 0)
        agent_log("cannot write %s: %s", path, strerror(-code));
}

/* Replaces a file (also one that is a link to somewhere else) in one step. */
static int replace(const char *path, const char *text) {
    char fresh[300];
    (void) snprintf(fresh, sizeof fresh, "%.280s.banger", path);
    (void) unlink(fresh);
    int code = agent_write_file(fresh, text, 0644);
    if (code == 0 && rename(fresh, path) < 0)
        code = -errno;
    if (code < 0)
        (void) unlink(fresh);
    return code;
}

/* A word of its own in a line that is no comment. */
static int mentions(const char *text, const char *name) {
    size_t size = strlen(name);
    for (const char *line = text; *line;) {
        size_t length = strcspn(line, "\n");
        size_t end = strcspn(line, "#\n");
        for (const char *word = line; word < line + end;) {
            size_t part = strcspn(word, " \t\n#");
            if (part == size && strncmp(word, name, size) == 0)
                return 1;
            word += part ? part : 1;
        }
        line += length + (line[length] == '\n');
    }
    return 0;
}

/* The VM's own name must resolve without a name server (sudo, hostname -f, many test suites). */
static void hosts_write(const char *root, const char *name) {
    char path[256];
    char *text = malloc(FILE_MAX + 256);
    if (!text)
        return;
    (void) snprintf(path, sizeof path, "%s/etc/hosts", root);
    ssize_t have = agent_read_file(path, text, FILE_MAX);
    size_t size = have > 0 ? (size_t) have : 0;
    text[size] = '\0';
    int local = mentions(text, "localhost"), named = !name[0] || mentions(text, name);
    if ((!local || !named) && size < FILE_MAX - 1) {
        int used = snprintf(text + size, 256, "%s%s%s%s%s", size ? "\n" : "",
                            local ? "" : "127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n",
                            named ? "" : "127.0.1.1 ", named ? "" : name, named ? "" : "\n");
        if (used > 0 && used < 256)
            report(path, replace(path, text));
    }
    free(text);
}

static void name_write(const char *root, const char *name) {
    char path[256], line[80], old[80] = "";
    if (!name[0])
        return;
    if (sethostname(name, strlen(name)) < 0)
        agent_log("cannot set the name %s: %s", name, strerror(errno));
    (void) snprintf(path, sizeof path, "%s/etc/hostname", root);
    (void) snprintf(line, sizeof line, "%s\n", name);
    if (agent_read_file(path, old, sizeof old) < 0 || strcmp(old, name) != 0)
        report(path, replace(path, line));
}

/* The agent; and where a VM was made with NAT the host's own server too, for what cannot ask on this loopback
 * (Docker leaves such servers out of its containers' files). */
static void resolver_write(const char *root, const char *dns) {
    char path[256], line[128], old[128] = "";
    struct stat about;
    (void) snprintf(path, sizeof path, "%s/etc/resolv.conf", root);
    (void) snprintf(line, sizeof line, "nameserver " AGENT_NAMES_ADDRESS "\n%s%s%s", dns[0] ? "nameserver " : "", dns,
                    dns[0] ? "\n" : "");
    int plain = lstat(path, &about) == 0 && S_ISREG(about.st_mode);
    if (!plain || about.st_size != (off_t) strlen(line) || agent_read_file(path, old, sizeof old) < 0 ||
        strncmp(old, line, strlen(old)) != 0)
        report(path, replace(path, line));
}

/* An empty /etc/machine-id means "one for this machine": made here, since commands may
 * ask for it before systemd would have made it. */
static void machine_id_write(const char *root) {
    char path[256], line[34] = "";
    unsigned char random[16];
    struct stat about;
    (void) snprintf(path, sizeof path, "%s/etc/machine-id", root);
    if (lstat(path, &about) < 0 || !S_ISREG(about.st_mode) || about.st_size != 0)
        return;
    if (getrandom(random, sizeof random, 0) != sizeof random)
        return;
    random[6] = (unsigned char) ((random[6] & 0x0f) | 0x40); /* as systemd: a version 4 UUID */
    random[8] = (unsigned char) ((random[8] & 0x3f) | 0x80);
    for (size_t i = 0; i < sizeof random; i++)
        (void) snprintf(line + 2 * i, 3, "%02x", random[i]);
    line[32] = '\n';
    report(path, replace(path, line));
}

/* Commands run before systemd is through with booting, so its boot must take nothing
 * from under them: not /tmp's content, not /tmp itself (a tmpfs over it), not
 * the interface's name. */
static void systemd_write(const char *root) {
    static const struct {
        const char *folder, *name, *text; /* no text: a link to /dev/null (masked) */
    } files[] = {
        {"/run/tmpfiles.d", "tmp.conf", "q /tmp 1777 root root -\nq /var/tmp 1777 root root -\n"},
        {"/run/systemd", NULL, NULL},
        {"/run/systemd/system", "tmp.mount", NULL},
        {"/run/systemd/network", "99-default.link", NULL},
    };
    char path[256];
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        (void) snprintf(path, sizeof path, "%s%s", root, files[i].folder);
        int code = mkdir(path, 0755) < 0 && errno != EEXIST ? -errno : 0;
        if (code == 0 && files[i].name) {
            (void) snprintf(path, sizeof path, "%s%s/%s", root, files[i].folder, files[i].name);
            code = files[i].text ? agent_write_file(path, files[i].text, 0644)
                                 : (symlink("/dev/null", path) < 0 && errno != EEXIST ? -errno : 0);
        }
        report(path, code);
    }
}

/* A machine without a switch stays, halted, after a power-off: whoever asks systemd for
 * one gets a reboot, which is the VM's end. */
static void reset_write(const char *root) {
    char path[256];
    (void) snprintf(path, sizeof path, "%s/run/systemd/system/poweroff.target", root);
    if (symlink("/usr/lib/systemd/system/reboot.target", path) < 0 && errno != EEXIST)
        report(path, -errno);
}

void agent_etc_write(const char *root, const struct agent_cmdline *cmdline, int systemd) {
    char path[256];
    struct stat about;
    (void) snprintf(path, sizeof path, "%s/etc", root);
    if (lstat(path, &about) < 0)
        (void) mkdir(path, 0755);
    name_write(root, cmdline->name);
    hosts_write(root, cmdline->name);
    resolver_write(root, cmdline->dns);
    machine_id_write(root);
    if (systemd)
        systemd_write(root);
    if (systemd && agent_resets())
        reset_write(root);
}
