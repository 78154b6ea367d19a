/* Fuzzes the policy's parser, and the decision over what it made of the text. */
#include "../policy/policy.h"
#include "../unpriv/priv/priv.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static struct policy policy;
    const gid_t gids[] = {990, 0};
    uint32_t bad = policy_parse(&policy, (const char *) data, size);
    if ((bad != 0) != (policy.fault == POLICY_BAD_LINE) || policy.bad_line != bad)
        abort();
    for (uint32_t i = 0; i < policy.vmm_count; i++) {
        if (policy.vmms[i].binary[0] != '/')
            abort();
    }
    for (uint32_t op = WIRE_NET_UP; op <= WIRE_NET_LIST; op++) {
        for (uid_t uid = 0; uid < 3000; uid += 997) {
            struct policy_who who = {.uid = uid, .gids = gids, .gid_count = 2};
            struct wire_request request = {.op = op, .slot = op == WIRE_NET_LIST ? 0 : uid % SLOT_MAX};
            enum policy_reason reason = policy_decide(&policy, &who, &request, NULL);
            if (reason == POLICY_ALLOWED && (bad || uid == 0 || policy_subnet(&policy, uid) == 0))
                abort();
            if (strlen(priv_sentence(reason)) == 0)
                abort();
        }
    }
    return 0;
}
