/* What VMs may reach: the records' rules, the running ones' gates, and the operation that shows them. */
#include "internal.h"

#include "../../common/cleanup.h"
#include "../../common/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define LOG_FILE "egress.log"

/* Before a stored text: a change is under way, and until it is over the text is what holds, whatever
 * the record's mode is. The host's rules may be those of before or those to come. */
#define CHANGING '!'

/* As it is stored, with the mark. */
static int read_text(const struct vm_record *r, char text[EGRESS_TEXT_MAX + 1], struct err *e) {
    int rc = store_egress_get(r->id, text, EGRESS_TEXT_MAX + 1, e);
    if (rc == 0 && text[0] != CHANGING && r->egress != WIRE_EGRESS_LIST)
        (void) snprintf(text, EGRESS_TEXT_MAX, "%s", r->egress == WIRE_EGRESS_NAT ? "nat" : "none");
    return rc;
}

int vm_rules_read(const struct vm_record *r, struct egress_rules *rules, struct err *e) {
    char text[EGRESS_TEXT_MAX + 1];
    int rc = read_text(r, text, e);
    return rc ? rc : egress_rules_parse(text + (text[0] == CHANGING), rules, e);
}

/* NAME.vm is a VM of the account's that has an address and runs. */
static int local_name(const char *name, uint32_t *address) {
    struct vm_record r;
    if (store_vm_get(name, &r, NULL) || strcmp(r.name, name) != 0 || r.state != VM_RUNNING || r.subnet == 0)
        return -ENOENT;
    *address = addr_guest(r.subnet, r.slot);
    return 0;
}

static struct egress_log *open_log(uint32_t slot, int flags) {
    cleanup_fd int dir = vm_folder_open(slot);
    int file = dir < 0 ? -1 : vm_open(dir, LOG_FILE, flags);
    return egress_log_open(file < 0 ? -1 : file);
}

int vm_gate_make(struct vm_live *live, const struct vm_record *r, int64_t since, struct err *e) {
    struct egress_rules rules;
    int rc = vm_rules_read(r, &rules, e);
    if (rc)
        return rc;
    struct gate *gate = gate_new(r->slot, &rules, since);
    struct names *names = gate ? names_new(gate, open_log(r->slot, O_RDWR | O_CREAT), local_name) : NULL;
    vm_live_gated(live, gate, names);
    return names ? 0 : err_set(e, ENOMEM, "out of memory");
}

/* --- changing ------------------------------------------------------------------------- */

/* The record follows once the helper has agreed: a list that its policy refuses is not kept. */
static int change(uint64_t op, struct vm_live *live, struct vm_record *r, const struct egress_rules *rules,
                  struct err *e) {
    struct gate *gate = vm_live_runs(live) ? vm_live_gate(live) : NULL;
    int rc = gate ? gate_change(gate, op, rules, e) : 0;
    gate_drop(gate);
    if (rc)
        return rc;
    r->egress = (uint32_t) rules->mode;
    rc = store_vm_update(r, e);
    return rc ? rc : store_egress_set(r->id, rules->mode == WIRE_EGRESS_LIST ? rules->text : "", e);
}

static int mark(const struct vm_record *r, struct err *e) {
    char text[EGRESS_TEXT_MAX + 1];
    int rc = read_text(r, text, e);
    if (rc || text[0] == CHANGING)
        return rc;
    memmove(text + 1, text, strlen(text) + 1);
    text[0] = CHANGING;
    return store_egress_set(r->id, text, e);
}

int vm_egress_mend(uint64_t op, struct vm_live *live, struct vm_record *r, struct err *e) {
    struct egress_rules rules;
    char text[EGRESS_TEXT_MAX + 1];
    int rc = read_text(r, text, e);
    if (rc || text[0] != CHANGING)
        return rc;
    rc = egress_rules_parse(text + 1, &rules, e);
    if (rc == 0)
        rc = change(op, live, r, &rules, e);
    if (rc)
        return rc;
    log_info(op, "VM %s: a change of its egress was cut off: it is %.200s", r->name, rules.text);
    return 1;
}

int vm_egress_change(uint64_t op, struct vm_live *live, struct vm_record *r, const struct egress_rules *rules,
                     struct err *e) {
    struct err undo;
    int rc = mark(r, e);
    if (rc == 0)
        rc = change(op, live, r, rules, e);
    if (rc == 0)
        log_info(op, "VM %s: egress is now %.200s", r->name, rules->text);
    else if (vm_egress_mend(op, live, r, &undo) < 0)
        log_error(op, "VM %s: %s", r->name, undo.text);
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

struct asked {
    cJSON *list;
    struct egress_rules used, wanted; /* the rules, with names that were allowed; and with those that were not, too */
};

/* RFC 3339, UTC. */
static void add_time(cJSON *object, const char *key, int64_t seconds) {
    char text[32] = "";
    struct tm parts;
    time_t when = (time_t) seconds;
    if (gmtime_r(&when, &parts))
        (void) strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &parts);
    (void) cJSON_AddStringToObject(object, key, text);
}

static void suggest(struct egress_rules *rules, const char *name) {
    char text[EGRESS_TEXT_MAX + EGRESS_NAME_MAX];
    struct egress_rules *more = egress_rules_name(rules, name) ? NULL : malloc(sizeof(*more));
    (void) snprintf(text, sizeof(text), "%s%s", rules->mode == WIRE_EGRESS_LIST ? rules->text : "allow=",
                    rules->mode == WIRE_EGRESS_LIST ? "," : "");
    (void) snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s", name);
    if (more && egress_rules_parse(text, more, NULL) == 0)
        *rules = *more;
    free(more);
}

static void add_asked(const struct egress_entry *entry, void *arg) {
    struct asked *asked = arg;
    const enum egress_why why = (enum egress_why) entry->why;
    cJSON *item = cJSON_CreateObject();
    add_time(item, "time", entry->last);
    (void) cJSON_AddStringToObject(item, "name", entry->name);
    (void) cJSON_AddNumberToObject(item, "type", entry->type);
    (void) cJSON_AddBoolToObject(item, "allowed", egress_why_allowed(why));
    (void) cJSON_AddStringToObject(item, "why", egress_why_text(why));
    (void) cJSON_AddNumberToObject(item, "count", entry->count);
    (void) cJSON_AddItemToArray(asked->list, item);
    if (why == EGRESS_NAT || why == EGRESS_LISTED)
        suggest(&asked->used, entry->name);
    if (why == EGRESS_NAT || why == EGRESS_LISTED || why == EGRESS_UNLISTED || why == EGRESS_NO_EGRESS)
        suggest(&asked->wanted, entry->name);
}

static void add_log(cJSON *object, struct names *names, const struct vm_record *r, const struct egress_rules *rules) {
    struct asked *asked = malloc(sizeof(*asked));
    struct egress_log *own = names ? NULL : open_log(r->slot, O_RDONLY);
    if (!asked || (!names && !own)) {
        egress_log_close(own);
        free(asked);
        return;
    }
    asked->list = cJSON_AddArrayToObject(object, "asked");
    asked->used = asked->wanted = *rules;
    egress_log_each(names ? names_log(names) : own, add_asked, asked);
    egress_log_close(own);
    (void) cJSON_AddStringToObject(object, "allow_used", asked->used.mode == WIRE_EGRESS_LIST ? asked->used.text : "");
    (void) cJSON_AddStringToObject(object, "allow_asked",
                                   asked->wanted.mode == WIRE_EGRESS_LIST ? asked->wanted.text : "");
    free(asked);
}

static void add_lookups(cJSON *object, struct names *names) {
    static const char *const keys[NAMES_DECISIONS] = {"allowed", "refused", "dropped"};
    uint64_t counts[NAMES_DECISIONS] = {0};
    cJSON *lookups = cJSON_AddObjectToObject(object, "lookups");
    if (names)
        names_counts(names, counts);
    for (size_t i = 0; i < NAMES_DECISIONS; i++)
        (void) cJSON_AddNumberToObject(lookups, keys[i], (double) counts[i]);
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
    struct names *names = vm_live_names(live);
    add_lookups(object, names);
    add_log(object, names, r, &rules);
    names_drop(names);
    return 0;
}

int vm_op_egress(struct rpc *rpc, cJSON **result, struct err *e) {
    struct vm_record r;
    int rc = vm_asked(rpc, &r, e);
    if (rc)
        return rc;
    struct vm_live *live = vm_live_hold(&r);
    if (!live)
        return err_set(e, ENOMEM, "out of memory");
    rc = show(live, &r, result, e);
    vm_live_drop(live);
    return rc;
}
