#include "ports.h"

#include "client.h"
#include "output.h"
#include "session.h"

#include <string.h>

/* Where web servers and development servers are by habit. */
static const struct {
    int64_t first, last;
    const char *scheme;
} habits[] = {
    {80, 80, "http"},      {443, 443, "https"},  {3000, 3010, "http"}, {4000, 4000, "http"}, {4200, 4200, "http"},
    {4321, 4321, "http"},  {5000, 5001, "http"}, {5173, 5174, "http"}, {6006, 6006, "http"}, {8000, 8442, "http"},
    {8443, 8443, "https"}, {8444, 8999, "http"}, {9000, 9000, "http"}, {9090, 9090, "http"},
};

const char *ports_scheme(int64_t port) {
    for (size_t i = 0; i < sizeof(habits) / sizeof(habits[0]); i++) {
        if (port >= habits[i].first && port <= habits[i].last)
            return habits[i].scheme;
    }
    return NULL;
}

/* "localhost:8080 ..." */
static void published_text(const cJSON *port, char *out, size_t size) {
    size_t used = 0;
    out[0] = '\0';
    const cJSON *at = NULL;
    cJSON_ArrayForEach(at, cJSON_GetObjectItemCaseSensitive(port, "published")) {
        const char *address = output_member(at, "address");
        const int in6 = strchr(address, ':') != NULL;
        int n = snprintf(out + used, size - used, "%s%s%s%s:%lld", used ? " " : "", in6 ? "[" : "", address,
                         in6 ? "]" : "", (long long) output_number(at, "port"));
        used += n > 0 && (size_t) n < size - used ? (size_t) n : 0;
    }
}

static void port_row(struct table *t, const char *name, const cJSON *port) {
    const long long number = output_number(port, "port");
    const int local = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(port, "local"));
    const char *scheme = strcmp(output_member(port, "protocol"), "tcp") == 0 ? ports_scheme(number) : NULL;
    char published[256];
    published_text(port, published, sizeof(published));
    table_cell(t, "%s", name);
    table_cell(t, "%s", output_member(port, "protocol"));
    table_cell(t, "%s", output_member(port, "address"));
    table_cell(t, "%lld", number);
    table_cell(t, "%s", output_member(port, "program"));
    if (local)
        table_cell(t, "only in the guest");
    else
        table_cell(t, "%s.vm:%lld", name, number);
    if (local || !scheme)
        table_cell(t, "%s", "");
    else
        table_cell(t, "%s://%s.vm:%lld", scheme, name, number);
    table_cell(t, "%s", published);
}

static void print_table(const cJSON *vms) {
    static const char *const headers[] = {"NAME",    "PROTO",    "ADDRESS", "PORT",
                                          "PROGRAM", "ENDPOINT", "LINK",    "PUBLISHED"};
    struct table t = {.columns = 8};
    const cJSON *vm = NULL, *port = NULL;
    cJSON_ArrayForEach(vm, vms) {
        cJSON_ArrayForEach(port, cJSON_GetObjectItemCaseSensitive(vm, "ports")) {
            port_row(&t, output_member(vm, "name"), port);
        }
    }
    table_print(&t, headers);
}

/* One that cannot be asked does not stop the others. */
int command_ports(const struct invocation *in) {
    int status = 0;
    cJSON *vms = cJSON_CreateArray();
    for (int i = 0; i < in->argument_count; i++) {
        struct err e = {0};
        cJSON *result = NULL;
        int r = client_simple("vm.ports", client_named(in->arguments[i]), &result, &e);
        if (r < 0)
            status = session_failed(r, &e);
        else
            (void) cJSON_AddItemToArray(vms, result);
    }
    if (options_given(in, OPT_JSON)) {
        cJSON *object = cJSON_CreateObject();
        (void) cJSON_AddItemToObject(object, "vms", vms);
        output_json(object);
        return status;
    }
    print_table(vms);
    cJSON_Delete(vms);
    return status;
}
