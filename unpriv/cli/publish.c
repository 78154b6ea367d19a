#include "publish.h"

#include "client.h"
#include "output.h"
#include "session.h"

#include <stdio.h>
#include <string.h>

static cJSON *list_of(const char *const *specs, size_t count) {
    cJSON *list = cJSON_CreateArray();
    for (size_t i = 0; i < count; i++)
        (void) cJSON_AddItemToArray(list, cJSON_CreateString(specs[i]));
    return list;
}

cJSON *publish_arguments(const struct invocation *in) {
    return in->port_count > 0 ? list_of(in->ports, in->port_count) : NULL;
}

int publish_check(const struct invocation *in, struct err *e) {
    if (in->port_count == 0)
        return 0;
    cJSON *args = cJSON_CreateObject();
    (void) cJSON_AddItemToObject(args, "publish", publish_arguments(in));
    return client_simple("vm.publishable", args, NULL, e);
}

static void append(char *text, size_t size, const cJSON *port) {
    const char *address = output_member(port, "address");
    const int in6 = strchr(address, ':') != NULL;
    size_t used = strlen(text);
    (void) snprintf(text + used, size - used, "%s%s%s%s:%lld->%lld/%s", used ? " " : "", in6 ? "[" : "", address,
                    in6 ? "]" : "", (long long) output_number(port, "host_port"),
                    (long long) output_number(port, "guest_port"), output_member(port, "protocol"));
}

void publish_for_people(cJSON *vm) {
    char text[PUBLISH_MAX * PUBLISH_TEXT_MAX * 2] = "";
    const cJSON *port = NULL;
    cJSON_ArrayForEach(port, cJSON_GetObjectItemCaseSensitive(vm, "publish")) {
        append(text, sizeof(text), port);
    }
    (void) cJSON_ReplaceItemInObjectCaseSensitive(vm, "publish", cJSON_CreateString(text));
}

/* What is wrong with the command line is said before the daemon is asked. */
static int read_specs(const struct invocation *in, struct err *e) {
    struct publish publish;
    int r = 0;
    for (int i = 1; i < in->argument_count && r == 0; i++)
        r = publish_parse(in->arguments[i], &publish, e);
    return r;
}

int command_publish(const struct invocation *in) {
    struct err e = {0};
    struct progress progress;
    if (read_specs(in, &e)) {
        output_error(&e);
        return EXIT_USAGE;
    }
    cJSON *args = client_named(in->arguments[0]);
    (void) cJSON_AddItemToObject(args, options_given(in, OPT_REMOVE) ? "unpublish" : "publish",
                                 list_of(in->arguments + 1, (size_t) in->argument_count - 1));
    progress_open(&progress, stderr, 0);
    struct client_call call = {.op = "vm.publish", .args = args, .progress = &progress};
    cJSON *vm = NULL;
    int r = client_request(&call, &vm, &e);
    if (r < 0)
        return session_failed(r, &e);
    if (options_given(in, OPT_JSON)) {
        output_json(vm);
        return 0;
    }
    publish_for_people(vm);
    const char *text = output_member(vm, "publish");
    (void) printf("%s publishes %s\n", output_member(vm, "name"), *text ? text : "nothing");
    cJSON_Delete(vm);
    return 0;
}
