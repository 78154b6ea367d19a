#include "internal.h"

#include "../../common/wire.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

const char *vm_state_name(enum vm_state state) {
    switch (state) {
    case VM_STOPPED:
        return "stopped";
    case VM_STARTING:
        return "starting";
    case VM_RUNNING:
        return "running";
    case VM_STOPPING:
        return "stopping";
    case VM_FAILED:
    default:
        return "failed";
    }
}

static cJSON *time_value(int64_t seconds) {
    char text[32];
    struct tm parts;
    time_t when = (time_t) seconds;
    if (seconds == 0 || !gmtime_r(&when, &parts) || strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &parts) == 0)
        return cJSON_CreateNull();
    return cJSON_CreateString(text);
}

void vm_json_time(cJSON *object, const char *key, int64_t seconds) {
    (void) cJSON_AddItemToObject(object, key, time_value(seconds));
}

void vm_ipv6_text(uint32_t ipv4, char out[INET6_ADDRSTRLEN]) {
    uint8_t address[16];
    addr_ipv6(address, ipv4);
    (void) inet_ntop(AF_INET6, address, out, INET6_ADDRSTRLEN);
}

/* --- what is made of more than one member of the record ----------------------------------- */

static cJSON *made_state(const struct vm_record *r, const struct vm_sources *s) {
    (void) s;
    return cJSON_CreateString(vm_state_name(r->state));
}

static cJSON *made_image(const struct vm_record *r, const struct vm_sources *s) {
    (void) r;
    return cJSON_CreateString(s->image.name);
}

static cJSON *made_kernel(const struct vm_record *r, const struct vm_sources *s) {
    (void) r;
    return cJSON_CreateString(s->kernel.name);
}

static cJSON *made_address(const struct vm_record *r, const struct vm_sources *s) {
    char text[INET_ADDRSTRLEN];
    const uint32_t address = htonl(addr_guest(r->subnet, r->slot));
    (void) s;
    if (r->subnet == 0 || !inet_ntop(AF_INET, &address, text, sizeof(text)))
        return cJSON_CreateNull();
    return cJSON_CreateString(text);
}

static cJSON *made_ipv6(const struct vm_record *r, const struct vm_sources *s) {
    (void) s;
    return cJSON_CreateBool(r->ipv6 != 0);
}

static cJSON *made_address6(const struct vm_record *r, const struct vm_sources *s) {
    char text[INET6_ADDRSTRLEN];
    (void) s;
    if (!r->ipv6 || r->subnet == 0)
        return cJSON_CreateNull();
    vm_ipv6_text(addr_guest(r->subnet, r->slot), text);
    return cJSON_CreateString(text);
}

static cJSON *made_mac(const struct vm_record *r, const struct vm_sources *s) {
    char text[32];
    uint8_t mac[6];
    (void) s;
    addr_mac(mac, getuid(), r->slot);
    (void) snprintf(text, sizeof(text), "%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2], mac[3], mac[4],
                    mac[5]);
    return cJSON_CreateString(text);
}

static cJSON *made_egress(const struct vm_record *r, const struct vm_sources *s) {
    (void) s;
    return cJSON_CreateString(r->egress == WIRE_EGRESS_NAT ? "nat" : r->egress == WIRE_EGRESS_LIST ? "allow" : "none");
}

static cJSON *made_publish(const struct vm_record *r, const struct vm_sources *s) {
    (void) s;
    return vm_publish_json(r);
}

/* --- all members, in the order they are shown in -------------------------------------------- */

enum kind { TEXT, UNSIGNED, SIGNED, BYTES, TIME, MADE };
#define OF(type, member) #member, type, offsetof(struct vm_record, member), NULL
static const struct member {
    const char *key;
    enum kind kind;
    size_t offset;
    cJSON *(*made)(const struct vm_record *r, const struct vm_sources *s);
} members[] = {
    {OF(TEXT, id)},
    {OF(TEXT, name)},
    {"state", MADE, 0, made_state},
    {"image", MADE, 0, made_image},
    {"kernel", MADE, 0, made_kernel},
    {OF(UNSIGNED, slot)},
    {"address", MADE, 0, made_address},
    {"ipv6", MADE, 0, made_ipv6},
    {"address6", MADE, 0, made_address6},
    {"mac", MADE, 0, made_mac},
    {"egress", MADE, 0, made_egress},
    {"publish", MADE, 0, made_publish},
    {OF(UNSIGNED, vcpus)},
    {OF(UNSIGNED, memory_mib)},
    {OF(BYTES, disk)},
    {OF(TEXT, root_kind)},
    {OF(TEXT, accel)},
    {OF(TEXT, vmm)},
    {OF(TEXT, workspace)},
    {OF(TEXT, source)},
    {OF(TEXT, head)},
    {OF(SIGNED, pid)},
    {OF(TIME, created)},
    {OF(TIME, started)},
};
#define MEMBERS (sizeof(members) / sizeof(members[0]))
_Static_assert(MEMBERS < 32, "a bit each");

static cJSON *value_of(const struct member *m, const struct vm_record *r, const struct vm_sources *s) {
    const char *at = (const char *) r + m->offset;
    uint32_t u;
    int32_t i;
    int64_t l;
    switch (m->kind) {
    case TEXT:
        return cJSON_CreateString(at);
    case UNSIGNED:
        memcpy(&u, at, sizeof(u));
        return cJSON_CreateNumber(u);
    case SIGNED:
        memcpy(&i, at, sizeof(i));
        return cJSON_CreateNumber(i);
    case BYTES:
        memcpy(&l, at, sizeof(l));
        return cJSON_CreateNumber((double) l);
    case TIME:
        memcpy(&l, at, sizeof(l));
        return time_value(l);
    case MADE:
    default:
        return m->made(r, s);
    }
}

int vm_json_members(const cJSON *names, uint32_t *wanted, struct err *e) {
    const cJSON *name = NULL;
    *wanted = cJSON_IsArray(names) ? 0 : VM_JSON_ALL;
    if (names && !cJSON_IsArray(names) && !cJSON_IsNull(names))
        return err_set(e, EINVAL, "\"members\" must be a list of names");
    cJSON_ArrayForEach(name, names) {
        size_t i = 0;
        while (i < MEMBERS && !(cJSON_IsString(name) && strcmp(members[i].key, name->valuestring) == 0))
            i++;
        if (i == MEMBERS)
            return err_set(e, EINVAL, "a VM has no member \"%.40s\"",
                           cJSON_IsString(name) ? name->valuestring : "that is no text");
        *wanted |= 1u << i;
    }
    return 0;
}

/* Looked up anew only where it is not the last record's: most VMs of a list share theirs. */
static void find_sources(struct vm_sources *last, const struct vm_record *r) {
    if (strcmp(last->image.id, r->image) != 0 && store_image_get(r->image, &last->image, NULL)) {
        memcpy(last->image.id, r->image, sizeof(last->image.id));
        (void) snprintf(last->image.name, sizeof(last->image.name), "%s", r->image);
    }
    if (strcmp(last->kernel.id, r->kernel) != 0 && store_kernel_get(r->kernel, &last->kernel, NULL)) {
        memcpy(last->kernel.id, r->kernel, sizeof(last->kernel.id));
        (void) snprintf(last->kernel.name, sizeof(last->kernel.name), "%s", r->kernel);
    }
}

cJSON *vm_json(const struct vm_record *r) {
    struct vm_sources none = {.image = {.id = ""}, .kernel = {.id = ""}};
    return vm_json_next(r, &none, VM_JSON_ALL);
}

cJSON *vm_json_next(const struct vm_record *r, struct vm_sources *last, uint32_t wanted) {
    cJSON *object = cJSON_CreateObject();
    find_sources(last, r);
    for (size_t i = 0; i < MEMBERS; i++) {
        if (wanted & 1u << i)
            (void) cJSON_AddItemToObjectCS(object, members[i].key, value_of(&members[i], r, last));
    }
    return object;
}
