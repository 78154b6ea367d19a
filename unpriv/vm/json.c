#include "internal.h"

#include "../../common/wire.h"

#include <arpa/inet.h>
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

void vm_json_time(cJSON *object, const char *key, int64_t seconds) {
    char text[32];
    struct tm parts;
    time_t when = (time_t) seconds;
    if (seconds == 0 || !gmtime_r(&when, &parts) || strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &parts) == 0)
        (void) cJSON_AddNullToObject(object, key);
    else
        (void) cJSON_AddStringToObject(object, key, text);
}

void vm_ipv6_text(uint32_t ipv4, char out[INET6_ADDRSTRLEN]) {
    uint8_t address[16];
    addr_ipv6(address, ipv4);
    (void) inet_ntop(AF_INET6, address, out, INET6_ADDRSTRLEN);
}

static void add_ipv6(cJSON *object, const struct vm_record *r) {
    char text[INET6_ADDRSTRLEN];
    (void) cJSON_AddBoolToObject(object, "ipv6", r->ipv6 != 0);
    if (!r->ipv6 || r->subnet == 0) {
        (void) cJSON_AddNullToObject(object, "address6");
        return;
    }
    vm_ipv6_text(addr_guest(r->subnet, r->slot), text);
    (void) cJSON_AddStringToObject(object, "address6", text);
}

static void add_network(cJSON *object, const struct vm_record *r) {
    char text[32];
    uint8_t mac[6];
    uint32_t address = addr_guest(r->subnet, r->slot);
    if (r->subnet == 0) {
        (void) cJSON_AddNullToObject(object, "address");
    } else {
        (void) snprintf(text, sizeof(text), "%u.%u.%u.%u", address >> 24, address >> 16 & 255, address >> 8 & 255,
                        address & 255);
        (void) cJSON_AddStringToObject(object, "address", text);
    }
    add_ipv6(object, r);
    addr_mac(mac, getuid(), r->slot);
    (void) snprintf(text, sizeof(text), "%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2], mac[3], mac[4],
                    mac[5]);
    (void) cJSON_AddStringToObject(object, "mac", text);
    (void) cJSON_AddStringToObject(object, "egress",
                                   r->egress == WIRE_EGRESS_NAT    ? "nat"
                                   : r->egress == WIRE_EGRESS_LIST ? "allow"
                                                                   : "none");
    (void) cJSON_AddItemToObject(object, "publish", vm_publish_json(r));
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
    return vm_json_next(r, &none);
}

cJSON *vm_json_next(const struct vm_record *r, struct vm_sources *last) {
    find_sources(last, r);
    cJSON *object = cJSON_CreateObject();
    (void) cJSON_AddStringToObject(object, "id", r->id);
    (void) cJSON_AddStringToObject(object, "name", r->name);
    (void) cJSON_AddStringToObject(object, "state", vm_state_name(r->state));
    (void) cJSON_AddStringToObject(object, "image", last->image.name);
    (void) cJSON_AddStringToObject(object, "kernel", last->kernel.name);
    (void) cJSON_AddNumberToObject(object, "slot", r->slot);
    add_network(object, r);
    (void) cJSON_AddNumberToObject(object, "vcpus", r->vcpus);
    (void) cJSON_AddNumberToObject(object, "memory_mib", r->memory_mib);
    (void) cJSON_AddNumberToObject(object, "disk", (double) r->disk);
    (void) cJSON_AddStringToObject(object, "root_kind", r->root_kind);
    (void) cJSON_AddStringToObject(object, "accel", r->accel);
    (void) cJSON_AddStringToObject(object, "vmm", r->vmm);
    (void) cJSON_AddStringToObject(object, "workspace", r->workspace);
    (void) cJSON_AddStringToObject(object, "source", r->source);
    (void) cJSON_AddStringToObject(object, "head", r->head);
    (void) cJSON_AddNumberToObject(object, "pid", r->pid);
    vm_json_time(object, "created", r->created);
    vm_json_time(object, "started", r->started);
    return object;
}
