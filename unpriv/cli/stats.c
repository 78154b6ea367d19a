#include "stats.h"

#include "client.h"
#include "config.h"
#include "output.h"
#include "session.h"
#include "signals.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CLEAR   "\033[H\033[J" /* ECMA-48: to the first column of the first line, erase to the end */
#define COLUMNS 10

/* One look at several VMs. */
struct look {
    cJSON *stats; /* vm.stats' answers */
    int failed;   /* a VM that was named could not be looked at */
};

static const cJSON *member(const cJSON *object, const char *key) {
    return cJSON_GetObjectItemCaseSensitive(object, key);
}

/* The number below `group`, or -1 where it is not known. */
static double number(const cJSON *stats, const char *group, const char *key) {
    const cJSON *item = member(member(stats, group), key);
    return cJSON_IsNumber(item) ? item->valuedouble : -1;
}

/* --- looking -------------------------------------------------------------------------- */

static int look_at(struct look *look, const char *name, struct err *e) {
    cJSON *result = NULL;
    int r = client_simple("vm.stats", client_named(name), &result, e);
    if (r == 0)
        (void) cJSON_AddItemToArray(look->stats, result);
    return r;
}

/* Those that are not stopped; one that is deleted meanwhile is passed over. */
static int look_at_all(struct look *look, struct err *e) {
    cJSON *list = NULL;
    int r = client_simple("vm.list", NULL, &list, e);
    const cJSON *vm = NULL;
    cJSON_ArrayForEach(vm, member(list, "vms")) {
        const char *state = output_member(vm, "state");
        if (r == 0 && strcmp(state, "stopped") != 0 && strcmp(state, "failed") != 0)
            r = look_at(look, output_member(vm, "id"), e);
        if (r == -ENOENT)
            r = 0;
    }
    cJSON_Delete(list);
    return r;
}

/* 0, or a negative errno where there is no point in going on. */
static int look_once(const struct invocation *in, struct look *look, struct err *e) {
    look->stats = cJSON_CreateArray();
    if (in->argument_count == 0)
        return look_at_all(look, e);
    for (int i = 0; i < in->argument_count; i++) {
        int r = look_at(look, in->arguments[i], e);
        if (r == -EINTR)
            return r;
        if (r < 0)
            output_error(e);
        look->failed |= r < 0;
    }
    return 0;
}

/* --- showing -------------------------------------------------------------------------- */

static void bytes_cell(struct table *t, double bytes) {
    char text[32] = "";
    if (bytes >= 0)
        output_bytes((int64_t) bytes, text);
    table_cell(t, "%s", text);
}

static const cJSON *same_vm(const cJSON *stats, const cJSON *before) {
    const cJSON *old = NULL;
    cJSON_ArrayForEach(old, before) {
        if (strcmp(output_member(old, "id"), output_member(stats, "id")) == 0)
            return old;
    }
    return NULL;
}

/* Of one processor, between two looks; without an earlier one all time used so far. */
static void cpu_cell(struct table *t, const cJSON *stats, const cJSON *old, const char *group) {
    const double now = number(stats, group, "cpu_ms"), then = number(old, group, "cpu_ms");
    const double span = (double) (output_number(stats, "clock_ms") - output_number(old, "clock_ms"));
    if (now < 0)
        table_cell(t, "%s", "");
    else if (old && then >= 0 && now >= then && span > 0)
        table_cell(t, "%.0f%%", (now - then) * 100 / span);
    else
        table_cell(t, "%.1f s", now / 1000);
}

static void memory_cell(struct table *t, const cJSON *stats) {
    const double total = number(stats, "guest", "memory_total"), left = number(stats, "guest", "memory_available");
    bytes_cell(t, total >= left && left >= 0 ? total - left : -1);
}

static void add_row(struct table *t, const cJSON *stats, const cJSON *old) {
    const double load = number(stats, "guest", "load1_milli");
    table_cell(t, "%s", output_member(stats, "name"));
    table_cell(t, "%s", output_member(stats, "state"));
    cpu_cell(t, stats, old, "guest");
    memory_cell(t, stats);
    if (load >= 0)
        table_cell(t, "%.2f", load / 1000);
    else
        table_cell(t, "%s", "");
    cpu_cell(t, stats, old, "vmm");
    bytes_cell(t, number(stats, "vmm", "memory"));
    bytes_cell(t, number(stats, "disk", "root") + number(stats, "disk", "work"));
    bytes_cell(t, number(stats, "network", "sent"));
    bytes_cell(t, number(stats, "network", "received"));
}

static void show_table(const struct look *look, const struct look *before) {
    static const char *const headers[COLUMNS] = {"NAME",    "STATE",   "CPU",  "MEMORY", "LOAD",
                                                 "VMM-CPU", "VMM-MEM", "DISK", "SENT",   "RECEIVED"};
    struct table t = {.columns = COLUMNS};
    const cJSON *stats = NULL;
    cJSON_ArrayForEach(stats, look->stats) {
        add_row(&t, stats, same_vm(stats, before->stats));
    }
    table_print(&t, headers);
    cJSON_ArrayForEach(stats, look->stats) {
        const char *detail = output_member(stats, "detail");
        char line[ERR_TEXT_MAX + 80];
        (void) snprintf(line, sizeof(line), "%s: %s", output_member(stats, "name"), detail);
        if (*detail)
            output_warning(line);
    }
}

static void show_lines(const struct look *look) {
    const cJSON *stats = NULL;
    cJSON_ArrayForEach(stats, look->stats) {
        char *text = cJSON_PrintUnformatted(stats);
        if (text)
            (void) puts(text);
        cJSON_free(text);
    }
}

/* 1 while somebody takes it. */
static int show(const struct invocation *in, const struct look *look, const struct look *before) {
    if (options_given(in, OPT_JSON)) {
        show_lines(look);
    } else {
        if (options_given(in, OPT_WATCH) && isatty(STDOUT_FILENO))
            (void) fputs(CLEAR, stdout);
        show_table(look, before);
    }
    return fflush(stdout) == 0;
}

static void nap(int ms) {
    struct pollfd p = {.fd = signals_open(), .events = POLLIN};
    if (poll(&p, 1, ms) > 0) {
        for (int number; (number = signals_next());)
            signals_note(number);
    }
}

int command_stats(const struct invocation *in) {
    struct err e = {0};
    struct look before = {0};
    struct look now = {0};
    const int watch = options_given(in, OPT_WATCH);
    const int interval_ms = (int) config_number(in, CONFIG_STATS_INTERVAL) * 1000;
    int r = look_once(in, &now, &e);
    while (r == 0 && show(in, &now, &before) && watch && !now.failed) {
        nap(interval_ms);
        cJSON_Delete(before.stats);
        before = now;
        now = (struct look){0};
        r = signals_ending() ? -EINTR : look_once(in, &now, &e);
    }
    cJSON_Delete(before.stats);
    cJSON_Delete(now.stats);
    return r < 0 ? session_failed(r, &e) : now.failed;
}
