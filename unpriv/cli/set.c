/* `banger vm set`. */
#include "client.h"
#include "output.h"
#include "session.h"
#include "vm.h"

#include <errno.h>

/* Options that are a number of the machine's. */
static const struct {
    enum option_id option;
    const char *key;
} numbers[] = {{OPT_VCPU, "vcpus"}, {OPT_MEMORY, "memory_mib"}, {OPT_DISK_SIZE, "disk"}};

int command_set(const struct invocation *in) {
    struct err e = {0};
    cJSON *result = NULL;
    cJSON *args = client_named(in->arguments[0]);
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        if (options_given(in, numbers[i].option))
            (void) cJSON_AddNumberToObject(args, numbers[i].key, (double) options_number(in, numbers[i].option, 0));
    }
    if (options_given(in, OPT_EGRESS) || options_given(in, OPT_NAT) || options_given(in, OPT_NO_NAT))
        (void) cJSON_AddStringToObject(args, "egress",
                                       options_text(in, OPT_EGRESS, options_given(in, OPT_NAT) ? "nat" : "none"));
    if (options_given(in, OPT_IPV6) || options_given(in, OPT_NO_IPV6))
        (void) cJSON_AddBoolToObject(args, "ipv6", options_given(in, OPT_IPV6));
    if (cJSON_GetArraySize(args) == 1) {
        cJSON_Delete(args);
        (void) err_set(&e, EINVAL, "nothing is to be set: give --memory, --vcpu, --disk-size, --egress or --ipv6");
        output_error(&e);
        return EXIT_USAGE;
    }
    int r = client_simple("vm.set", args, &result, &e);
    if (r < 0)
        return session_failed(r, &e);
    if (options_given(in, OPT_JSON))
        output_json(result);
    else
        cJSON_Delete(result);
    return 0;
}
