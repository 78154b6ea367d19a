#include "egress.h"

#include "client.h"
#include "output.h"
#include "session.h"

static const char *type_name(int64_t type) {
    static const struct {
        int64_t type;
        const char *name;
    } names[] = {{1, "A"},    {2, "NS"},    {5, "CNAME"}, {6, "SOA"},   {12, "PTR"},   {15, "MX"},
                 {16, "TXT"}, {28, "AAAA"}, {33, "SRV"},  {64, "SVCB"}, {65, "HTTPS"}, {255, "ANY"}};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (names[i].type == type)
            return names[i].name;
    }
    return "other";
}

static void print_open(const cJSON *result) {
    const cJSON *item = NULL;
    cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(result, "open")) {
        (void) printf("open: %s for %lld s\n", output_member(item, "address"),
                      (long long) output_number(item, "seconds"));
    }
}

static void print_asked(const cJSON *result) {
    static const char *const headers[] = {"LAST", "NAME", "TYPE", "COUNT", "DECISION", "WHY"};
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(result, "asked"), *item = NULL;
    struct table t = {.columns = 6};
    if (cJSON_GetArraySize(list) == 0) {
        (void) puts("it has asked for no names yet");
        return;
    }
    cJSON_ArrayForEach(item, list) {
        table_cell(&t, "%s", output_member(item, "time"));
        table_cell(&t, "%s", output_member(item, "name"));
        table_cell(&t, "%s", type_name(output_number(item, "type")));
        table_cell(&t, "%lld", (long long) output_number(item, "count"));
        table_cell(&t, "%s", cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(item, "allowed")) ? "allowed" : "refused");
        table_cell(&t, "%s", output_member(item, "why"));
    }
    table_print(&t, headers);
}

static void print_lookups(const cJSON *result) {
    const cJSON *lookups = cJSON_GetObjectItemCaseSensitive(result, "lookups");
    (void) printf("lookups: %lld allowed, %lld refused, %lld dropped\n", (long long) output_number(lookups, "allowed"),
                  (long long) output_number(lookups, "refused"), (long long) output_number(lookups, "dropped"));
}

static void print_list(const cJSON *result, const char *key, const char *what) {
    const char *list = output_member(result, key);
    if (list[0])
        (void) printf("%s: --egress %s\n", what, list);
}

int command_egress(const struct invocation *in) {
    struct err e = {0};
    cJSON *result = NULL;
    int r = client_simple("vm.egress", client_named(in->arguments[0]), &result, &e);
    if (r < 0)
        return session_failed(r, &e);
    if (options_given(in, OPT_JSON)) {
        output_json(result);
        return 0;
    }
    (void) printf("egress: %s\n", output_member(result, "egress"));
    print_open(result);
    print_lookups(result);
    print_asked(result);
    print_list(result, "allow_used", "what it used");
    print_list(result, "allow_asked", "with what was refused");
    cJSON_Delete(result);
    return 0;
}
