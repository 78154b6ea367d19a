/* What VMs may reach: the records' rules, the running ones' gates, and the operation that shows them. */
#include "internal.h"

#include "../../common/json.h"
#include "../../common/log.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

int vm_rules_read(const struct vm_record *r, struct egress_rules *rules, struct err *e) {
    char text[EGRESS_TEXT_MAX];
    (void) snprintf(text, sizeof(text), "%s", r->egress == WIRE_EGRESS_NAT ? "nat" : "none");
    int rc = r->egress == WIRE_EGRESS_LIST ? store_egress_get(r->id, text, sizeof(text), e) : 0;
    return rc ? rc : egress_rules_parse(text, rules, e);
}

int vm_gate_make(struct vm_live *live, const struct vm_record *r, struct err *e) {
    struct egress_rules rules;
    int rc = vm_rules_read(r, &rules, e);
    if (rc)
        return rc;
    struct gate *gate = gate_new(r->slot, &rules);
    vm_live_gated(live, gate);
    return gate ? 0 : err_set(e, ENOMEM, "out of memory");
}

/* --- changing ------------------------------------------------------------------------- */

/* The record follows once the helper has agreed: a list that its policy refuses is not kept. */
int vm_egress_change(uint64_t op, struct vm_live *live, struct vm_record *r, const struct egress_rules *rules,
                     struct err *e) {
    struct gate *gate = vm_live_runs(live) ? vm_live_gate(live) : NULL;
    int rc = gate ? gate_change(gate, op, rules, e) : 0;
    gate_drop(gate);
    if (rc == 0)
        rc = store_egress_set(r->id, rules->mode == WIRE_EGRESS_LIST ? rules->text : "", e);
    if (rc)
        return rc;
    r->egress = (uint32_t) rules->mode;
    rc = store_vm_update(r, e);
    if (rc == 0)
        log_info(op, "VM %s: egress is now %.200s", r->name, rules->text);
    return rc;
}

/* --- showing -------------------------------------------------------------------------- */

static void add_opened(uint32_t address, uint32_t seconds, void *arg) {
    char text[16];
    cJSON *item = cJSON_CreateObject();
    (void) snprintf(text, sizeof(text), "%u.%u.%u.%u", address >> 24, address >> 16 & 255, address >> 8 & 255,
                    address & 255);
    (void) cJSON_AddStringToObject(item, "address", text);
    (void) cJSON_AddNumberToObject(item, "seconds", seconds);
    (void) cJSON_AddItemToArray(arg, item);
}

static int show(struct vm_live *live, const struct vm_record *r, cJSON **result, struct err *e) {
    struct egress_rules rules;
    int rc = vm_rules_read(r, &rules, e);
    if (rc)
        return rc;
    cJSON *object = *result = cJSON_CreateObject();
    (void) cJSON_AddStringToObject(object, "name", r->name);
    (void) cJSON_AddStringToObject(object, "egress", rules.text);
    cJSON *open = cJSON_AddArrayToObject(object, "open");
    struct gate *gate = vm_live_gate(live);
    if (gate)
        gate_each(gate, add_opened, open);
    gate_drop(gate);
    return 0;
}

int vm_op_egress(struct rpc *rpc, cJSON **result, struct err *e) {
    struct vm_record r;
    const char *name = json_string(rpc->args, "name", e);
    int rc = name ? store_vm_get(name, &r, e) : -EINVAL;
    if (rc)
        return rc;
    struct vm_live *live = vm_live_hold(&r);
    if (!live)
        return err_set(e, ENOMEM, "out of memory");
    rc = show(live, &r, result, e);
    vm_live_drop(live);
    return rc;
}
