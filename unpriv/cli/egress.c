#include "egress.h"

#include "client.h"
#include "output.h"
#include "session.h"

static void print_open(const cJSON *result) {
    const cJSON *item = NULL;
    cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(result, "open")) {
        (void) printf("open: %s for %lld s\n", output_member(item, "address"),
                      (long long) output_number(item, "seconds"));
    }
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
    cJSON_Delete(result);
    return 0;
}
