#include "processes.h"

#include "../../common/cleanup.h"
#include "../../common/wire.h"
#include "filters.h"
#include "sight.h"

#include <cap-ng.h>
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define STATUS_MAX    8192
#define PROCESSES_MAX 4096

struct process {
    pid_t pid, parent;
    uid_t uid;
    char name[32];
    char status[STATUS_MAX]; /* /proc/PID/status (proc(5)) */
};

/* The value behind "KEY:" in a status text, or "". */
static const char *value_of(const char *status, const char *key) {
    size_t length = strlen(key);
    for (const char *line = status; line; line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL) {
        if (strncmp(line, key, length) == 0 && line[length] == ':')
            return line + length + 1 + strspn(line + length + 1, " \t");
    }
    return "";
}

static int read_status(pid_t pid, struct process *p) {
    char path[64];
    (void) snprintf(path, sizeof(path), "/proc/%d/status", pid);
    cleanup_fd int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? 0 : read(fd, p->status, sizeof(p->status) - 1); /* whole: one seq_file answer */
    if (n <= 0)
        return -1;
    p->status[n] = '\0';
    p->pid = pid;
    p->parent = (pid_t) strtol(value_of(p->status, "PPid"), NULL, 10);
    p->uid = (uid_t) strtoul(value_of(p->status, "Uid"), NULL, 10);
    const char *name = value_of(p->status, "Name");
    (void) snprintf(p->name, sizeof(p->name), "%.*s", (int) strcspn(name, "\n"), name);
    return 0;
}

/* Its program's name; where that is hidden, what it calls itself. */
static void program_of(const struct process *p, char out[PATH_MAX]) {
    char path[64], exe[PATH_MAX];
    (void) snprintf(path, sizeof(path), "/proc/%d/exe", p->pid);
    ssize_t n = readlink(path, exe, sizeof(exe) - 1);
    exe[n < 0 ? 0 : n] = '\0';
    char *deleted = strstr(exe, " (deleted)"); /* replaced since it was started */
    if (deleted)
        *deleted = '\0';
    const char *slash = strrchr(exe, '/');
    (void) snprintf(out, PATH_MAX, "%s", slash ? slash + 1 : p->name);
}

static int runs(const struct process *p, const char *program) {
    char name[PATH_MAX];
    program_of(p, name);
    return strcmp(name, program) == 0;
}

/* What a process is for banger, or NULL. */
static const char *role_of(const struct process *p) {
    static const struct {
        const char *program, *below_itself, *otherwise;
    } programs[] = {{"bangerd", "engine", "monitor"},
                    {"banger-helper", "worker", "helper"},
                    {"banger-import", "import", "import"},
                    {"banger-fetch", "fetch", "fetch"},
                    {"banger-dns", "dns", "dns"},
                    {"banger-metrics", "metrics", "metrics"},
                    {"banger-resolve", "resolve", "resolve"},
                    {"banger-forward", "forward", "forward"},
                    {"banger-jail", "jail", "jail"}};
    struct process parent = {0};
    int known = read_status(p->parent, &parent) == 0;
    for (size_t i = 0; i < sizeof(programs) / sizeof(programs[0]); i++) {
        if (runs(p, programs[i].program))
            return known && runs(&parent, programs[i].program) ? programs[i].below_itself : programs[i].otherwise;
    }
    return known && runs(&parent, "banger-jail") ? "vmm" : NULL;
}

static void add_capabilities(cJSON *out, pid_t pid) {
    static const struct {
        const char *name;
        capng_type_t which;
    } sets[] = {{"effective", CAPNG_EFFECTIVE},
                {"permitted", CAPNG_PERMITTED},
                {"inheritable", CAPNG_INHERITABLE},
                {"bounding", CAPNG_BOUNDING_SET},
                {"ambient", CAPNG_AMBIENT}};
    capng_setpid(pid);
    int failed = capng_get_caps_process();
    cJSON *object = failed ? cJSON_AddNullToObject(out, "capabilities") : cJSON_AddObjectToObject(out, "capabilities");
    for (size_t i = 0; !failed && i < sizeof(sets) / sizeof(sets[0]); i++) {
        char *text = capng_print_caps_text(CAPNG_PRINT_BUFFER, sets[i].which);
        (void) cJSON_AddStringToObject(object, sets[i].name, text ? text : "?");
        free(text);
    }
}

/* Each worker keeps its own socket to the engine only (wire.h). */
static void add_worker(cJSON *out, pid_t pid) {
    static const char *const names[WIRE_WORKERS] = {[WIRE_NET] = "net", [WIRE_DISK] = "disk", [WIRE_VMM] = "vmm"};
    for (int w = 0; w < WIRE_WORKERS; w++) {
        char path[64], target[64];
        (void) snprintf(path, sizeof(path), "/proc/%d/fd/%d", pid, WIRE_FD_FIRST + w);
        ssize_t n = readlink(path, target, sizeof(target));
        if (n > 7 && memcmp(target, "socket:", 7) == 0) {
            (void) cJSON_AddStringToObject(out, "worker", names[w]);
            return;
        }
    }
}

static void add_calls(cJSON *out, const struct process *p, long mode) {
    struct err e = {0};
    cJSON *calls = geteuid() == 0 && mode == SECCOMP_MODE_FILTER ? filters_allowed(p->pid, &e) : NULL;
    (void) cJSON_AddItemToObject(out, "calls", calls ? calls : cJSON_CreateNull());
    if (e.code)
        (void) cJSON_AddStringToObject(out, "calls_unknown", e.text);
}

static cJSON *describe(const struct process *p, const char *role) {
    cJSON *out = cJSON_CreateObject();
    char program[PATH_MAX];
    program_of(p, program);
    const char *filters = value_of(p->status, "Seccomp_filters");
    long mode = strtol(value_of(p->status, "Seccomp"), NULL, 10);
    (void) cJSON_AddNumberToObject(out, "pid", p->pid);
    (void) cJSON_AddNumberToObject(out, "uid", p->uid);
    (void) cJSON_AddStringToObject(out, "name", program);
    (void) cJSON_AddStringToObject(out, "role", role);
    if (strcmp(role, "worker") == 0)
        add_worker(out, p->pid);
    add_capabilities(out, p->pid);
    (void) cJSON_AddNumberToObject(out, "no_new_privs", (double) strtol(value_of(p->status, "NoNewPrivs"), NULL, 10));
    (void) cJSON_AddNumberToObject(out, "seccomp", (double) mode);
    (void) cJSON_AddNumberToObject(out, "filters", *filters ? (double) strtol(filters, NULL, 10) : -1);
    cJSON *namespaces = sight_namespaces(p->pid);
    int own_mounts = 0;
    const cJSON *name = NULL;
    cJSON_ArrayForEach(name, namespaces) {
        own_mounts |= strcmp(name->valuestring, "mnt") == 0;
    }
    (void) cJSON_AddItemToObject(out, "namespaces", namespaces);
    (void) cJSON_AddItemToObject(out, "files", sight_files(p->pid));
    (void) cJSON_AddItemToObject(out, "root", own_mounts ? sight_root(p->pid) : cJSON_CreateNull());
    add_calls(out, p, mode);
    return out;
}

static int by_number(const void *a, const void *b) {
    pid_t x = *(const pid_t *) a, y = *(const pid_t *) b;
    return (x > y) - (x < y);
}

static size_t all_pids(pid_t pids[PROCESSES_MAX]) {
    size_t count = 0;
    DIR *proc = opendir("/proc");
    const struct dirent *entry = NULL;
    while (proc && count < PROCESSES_MAX && (entry = readdir(proc))) {
        char *end = NULL;
        long pid = strtol(entry->d_name, &end, 10);
        if (pid > 0 && *end == '\0')
            pids[count++] = (pid_t) pid;
    }
    if (proc)
        (void) closedir(proc);
    qsort(pids, count, sizeof(*pids), by_number);
    return count;
}

cJSON *processes_read(uid_t uid) {
    static pid_t pids[PROCESSES_MAX];
    cJSON *out = cJSON_CreateArray();
    size_t count = all_pids(pids);
    for (size_t i = 0; i < count; i++) {
        struct process p;
        if (read_status(pids[i], &p) || (uid != PROCESSES_OF_ALL && p.uid != uid))
            continue;
        const char *role = role_of(&p);
        if (role)
            (void) cJSON_AddItemToArray(out, describe(&p, role));
    }
    return out;
}
