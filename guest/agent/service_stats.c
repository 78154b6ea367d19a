/* What the guest says of itself: one "name value" a line, values whole numbers. */
#include "agent.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statfs.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#define LOAD_SHIFT (1ul << SI_LOAD_SHIFT) /* of sysinfo(2)'s fixed-point loads */

static void tell(const char *name, uint64_t value) {
    (void) printf("%s %" PRIu64 "\n", name, value);
}

/* The number after `label` at the beginning of the line: 1 when it is there; *rest is what follows. */
static int number_after(const char *line, const char *label, uint64_t *out, const char **rest) {
    char *end;
    size_t length = strlen(label);
    if (strncmp(line, label, length) != 0)
        return 0;
    *out = strtoull(line + length, &end, 10);
    *rest = end;
    return end != line + length;
}

/* The first line of /proc/stat (proc(5)): user nice system idle iowait irq softirq steal, in ticks; guest
 * time is in user's already. */
static int tell_processors(void) {
    enum { USER, NICE, SYSTEM, IDLE, IOWAIT, IRQ, SOFTIRQ, STEAL, FIELDS };
    uint64_t t[FIELDS] = {0};
    char line[256] = "";
    FILE *file = fopen("/proc/stat", "re");
    if (!file)
        return -1;
    const char *at = fgets(line, sizeof line, file);
    (void) fclose(file);
    for (size_t i = 0; at && i < FIELDS; i++) {
        if (!number_after(at, i ? " " : "cpu ", &t[i], &at))
            break;
    }
    uint64_t hz = (uint64_t) sysconf(_SC_CLK_TCK);
    tell("cpu_ms", (t[USER] + t[NICE] + t[SYSTEM] + t[IRQ] + t[SOFTIRQ]) * 1000 / hz);
    tell("stolen_ms", t[STEAL] * 1000 / hz);
    tell("cpus", (uint64_t) sysconf(_SC_NPROCESSORS_ONLN));
    return 0;
}

/* MemAvailable is in no system call. */
static int tell_memory(void) {
    char line[128];
    const char *rest;
    uint64_t kib;
    FILE *file = fopen("/proc/meminfo", "re");
    if (!file)
        return -1;
    while (fgets(line, sizeof line, file)) {
        if (number_after(line, "MemTotal:", &kib, &rest))
            tell("memory_total", kib * 1024);
        else if (number_after(line, "MemAvailable:", &kib, &rest))
            tell("memory_available", kib * 1024);
    }
    (void) fclose(file);
    return 0;
}

static int tell_load(void) {
    static const char *const names[] = {"load1_milli", "load5_milli", "load15_milli"};
    struct sysinfo info;
    if (sysinfo(&info) < 0)
        return -1;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        tell(names[i], (uint64_t) info.loads[i] * 1000 / LOAD_SHIFT);
    tell("uptime_ms", (uint64_t) info.uptime * 1000);
    tell("processes", info.procs);
    return 0;
}

static int tell_disk(const char *path, const char *total, const char *available) {
    struct statfs fs;
    if (statfs(path, &fs) < 0)
        return -1;
    tell(total, (uint64_t) fs.f_blocks * (uint64_t) fs.f_frsize);
    tell(available, (uint64_t) fs.f_bavail * (uint64_t) fs.f_frsize);
    return 0;
}

int service_stats(int argc, char **argv) {
    (void) argc;
    (void) argv;
    if (tell_processors() == 0 && tell_memory() == 0 && tell_load() == 0 &&
        tell_disk("/", "root_total", "root_available") == 0 && tell_disk("/root", "work_total", "work_available") == 0)
        return 0;
    perror("cannot look at this system");
    return 1;
}
