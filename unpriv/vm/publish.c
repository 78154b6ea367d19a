/* Published ports: what a VM's record says of them, and when banger-forward carries them.
 *
 * They are held from the moment that a VM is to be started, so that one which cannot be had
 * is known before anything else is done; who connects is let in when the guest is ready;
 * and they are free again when the VM has ended. */
#include "internal.h"

#include "../../common/log.h"
#include "../forward/spec.h"
#include "forwarder.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#define AGAIN_LEAST_MS 250
#define AGAIN_MOST_MS  5000

/* --- the record ------------------------------------------------------------------------- */

/* `change` with each text of the array `key`. */
static int each_spec(const cJSON *args, const char *key, struct publish_list *list,
                     int (*change)(struct publish_list *list, const struct publish *publish, struct err *e),
                     struct err *e) {
    const cJSON *specs = cJSON_GetObjectItemCaseSensitive(args, key), *spec = NULL;
    if (specs && !cJSON_IsArray(specs))
        return err_set(e, EINVAL, "\"%s\" must be a list of ports, as in [\"8080:80\"]", key);
    cJSON_ArrayForEach(spec, specs) {
        struct publish publish;
        int rc = cJSON_IsString(spec) ? publish_parse(spec->valuestring, &publish, e)
                                      : err_set(e, EINVAL, "\"%s\" must be a list of texts", key);
        if (rc == 0)
            rc = change(list, &publish, e);
        if (rc)
            return rc;
    }
    return 0;
}

static int change_list(const cJSON *args, struct vm_record *r, struct err *e) {
    struct publish_list list;
    publish_list_read(r->publish, &list);
    int rc = each_spec(args, "unpublish", &list, publish_remove, e);
    if (rc == 0)
        rc = each_spec(args, "publish", &list, publish_add, e);
    return rc ? rc : publish_list_write(&list, r->publish, e);
}

int vm_publish_parse(const cJSON *args, struct vm_record *r, struct err *e) {
    return change_list(args, r, e);
}

cJSON *vm_publish_json(const struct vm_record *r) {
    struct publish_list list;
    cJSON *array = cJSON_CreateArray();
    publish_list_read(r->publish, &list);
    for (size_t i = 0; i < list.count; i++) {
        const struct publish *publish = &list.items[i];
        char address[PUBLISH_TEXT_MAX];
        publish_address(publish, address);
        cJSON *item = cJSON_CreateObject();
        (void) cJSON_AddStringToObject(item, "address", address);
        (void) cJSON_AddNumberToObject(item, "host_port", publish->host);
        (void) cJSON_AddNumberToObject(item, "guest_port", publish->guest);
        (void) cJSON_AddStringToObject(item, "protocol", publish->protocol == IPPROTO_UDP ? "udp" : "tcp");
        (void) cJSON_AddItemToArray(array, item);
    }
    return array;
}

/* --- with a VM's life -------------------------------------------------------------------- */

int vm_publish_look(const struct vm_record *r, struct err *e) {
    return r->publish[0] ? forwarder_set(r, 0, FORWARD_TRY, e) : 0;
}

int vm_publish_hold(const struct vm_record *r, struct err *e) {
    return r->publish[0] ? forwarder_set(r, 0, 0, e) : 0;
}

int vm_publish_open(const struct vm_record *r, struct err *e) {
    return r->publish[0] ? forwarder_set(r, addr_guest(r->subnet, r->slot), 0, e) : 0;
}

void vm_publish_end(const struct vm_record *r) {
    if (r->publish[0])
        forwarder_end(r->slot);
}

/* --- after an end of banger-forward, or of bangerd ---------------------------------------- */

struct restoring {
    int failed; /* ports that could not be had */
    int said;   /* that is in the log already */
};

static void restore_one(struct vm_live *live, const struct vm_record *r, void *arg) {
    struct restoring *restoring = arg;
    (void) live;
    struct err e;
    /* Also where nothing is published: a change that was cut off may have left ports. */
    if (forwarder_set(r, addr_guest(r->subnet, r->slot), FORWARD_BEST, &e) == 0)
        return;
    restoring->failed = 1;
    if (!restoring->said)
        log_warn(0, "VM %s: %s; it is tried again", r->name, e.text);
}

static _Atomic int restorers; /* threads that restore: one at most */
static _Atomic int wanted;    /* something has ended since the last look */

/* Somebody else may have taken a port meanwhile: until it is free again. */
static void *restore(void *arg) {
    struct restoring restoring = {0};
    (void) arg;
    for (int nap_ms = AGAIN_LEAST_MS;; nap_ms = nap_ms < AGAIN_MOST_MS ? nap_ms * 2 : AGAIN_MOST_MS) {
        wanted = restoring.failed = 0;
        vm_running_each(restore_one, &restoring);
        if (!restoring.failed && !wanted)
            break;
        restoring.said = 1;
        (void) poll(NULL, 0, nap_ms);
    }
    restorers--;
    return NULL;
}

static void forwarder_ended(void) {
    wanted = 1;
    if (++restorers == 1)
        (void) restore(NULL);
    else
        restorers--;
}

void vm_publish_recover(void) {
    struct restoring restoring = {0};
    forwarder_on_end(forwarder_ended);
    vm_running_each(restore_one, &restoring);
    if (!restoring.failed)
        return;
    pthread_t thread;
    restorers++;
    if (pthread_create(&thread, NULL, restore, NULL) == 0)
        (void) pthread_detach(thread);
    else
        restorers--;
}

/* --- vm.publish ---------------------------------------------------------------------------- */

int vm_publish_change(struct rpc *rpc, struct vm_live *live, struct vm_record *r, struct err *e) {
    const struct vm_record before = *r;
    const int runs = vm_live_runs(live) && r->state == VM_RUNNING;
    struct err later;
    int rc = change_list(rpc->args, r, e);
    if (rc == 0 && runs && (before.publish[0] || r->publish[0]))
        rc = forwarder_set(r, addr_guest(r->subnet, r->slot), 0, e);
    else if (rc == 0 && vm_publish_look(r, &later))
        rpc_warn(rpc, "%s; VM %s starts only once that is done", later.text, r->name);
    if (rc == 0)
        rc = store_vm_update(r, e);
    else
        *r = before;
    if (rc && runs) /* also where nothing was published */
        (void) forwarder_set(&before, addr_guest(before.subnet, before.slot), 0, &later);
    return rc;
}

int vm_op_publish(struct rpc *rpc, cJSON **result, struct err *e) {
    struct vm_live *live;
    struct vm_record r;
    int rc = vm_asked_lock(rpc, &live, &r, e);
    if (rc)
        return rc;
    rc = vm_publish_change(rpc, live, &r, e);
    if (rc == 0)
        *result = vm_json(&r);
    vm_unlock(live);
    return rc;
}

/* Whether the ports could be had now: asked before an image is fetched for a VM that cannot be. */
int vm_op_publishable(struct rpc *rpc, cJSON **result, struct err *e) {
    struct vm_record r = {.slot = SLOT_MAX - 1};
    (void) result;
    int rc = vm_publish_parse(rpc->args, &r, e);
    return rc ? rc : vm_publish_look(&r, e);
}
