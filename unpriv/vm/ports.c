/* vm.ports: what the guest listens on, and where that can be reached. */
#include "internal.h"

#include "../forward/spec.h"
#include "guest_ports.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>

#define ANSWER_MS 15000 /* emulated guests with many processes take a while */

static cJSON *published_at(const struct publish_list *list, const struct guest_port *port) {
    cJSON *array = cJSON_CreateArray();
    for (size_t i = 0; i < list->count; i++) {
        const struct publish *publish = &list->items[i];
        char address[PUBLISH_TEXT_MAX];
        if (publish->guest != port->port || publish->protocol != port->protocol || port->local)
            continue;
        publish_address(publish, address);
        cJSON *item = cJSON_CreateObject();
        (void) cJSON_AddStringToObject(item, "address", address);
        (void) cJSON_AddNumberToObject(item, "port", publish->host);
        (void) cJSON_AddItemToArray(array, item);
    }
    return array;
}

static cJSON *port_json(const struct publish_list *list, const struct guest_port *port) {
    char address[INET6_ADDRSTRLEN] = "";
    cJSON *object = cJSON_CreateObject();
    (void) inet_ntop(port->family, port->address, address, sizeof(address));
    (void) cJSON_AddStringToObject(object, "protocol", port->protocol == IPPROTO_UDP ? "udp" : "tcp");
    (void) cJSON_AddStringToObject(object, "address", address);
    (void) cJSON_AddNumberToObject(object, "port", port->port);
    (void) cJSON_AddBoolToObject(object, "local", port->local);
    (void) cJSON_AddStringToObject(object, "program", port->program);
    (void) cJSON_AddItemToObject(object, "published", published_at(list, port));
    return object;
}

static int ask(struct vm_live *live, const struct vm_record *r, struct guest_port *ports, struct err *e) {
    static const char *const question[] = {"ports", NULL};
    char *answer = malloc(GUEST_PORTS_TEXT_MAX);
    if (!answer)
        return err_set(e, ENOMEM, "out of memory for the guest's answer");
    struct link *link = vm_live_link(live, r->name, e);
    int rc = link ? link_ask(link, question, answer, GUEST_PORTS_TEXT_MAX, ANSWER_MS, e) : -e->code;
    link_drop(link);
    if (rc >= 0)
        rc = guest_ports_parse(answer, ports, e);
    free(answer);
    return rc < 0 ? err_prefix(e, "VM %s", r->name) : rc;
}

static cJSON *answer_json(const struct vm_record *r, const struct guest_port *ports, int count) {
    struct publish_list list;
    publish_list_read(r->publish, &list);
    cJSON *object = cJSON_CreateObject();
    (void) cJSON_AddStringToObject(object, "name", r->name);
    cJSON *array = cJSON_AddArrayToObject(object, "ports");
    for (int i = 0; i < count; i++)
        (void) cJSON_AddItemToArray(array, port_json(&list, &ports[i]));
    return object;
}

int vm_op_ports(struct rpc *rpc, cJSON **result, struct err *e) {
    struct vm_record r;
    int rc = vm_asked(rpc, &r, e);
    if (rc)
        return rc;
    struct guest_port *ports = calloc(GUEST_PORTS_MAX, sizeof(*ports));
    struct vm_live *live = vm_live_hold(&r);
    int count = ports && live ? ask(live, &r, ports, e) : err_set(e, ENOMEM, "out of memory");
    if (live)
        vm_live_drop(live);
    if (ports && count >= 0)
        *result = answer_json(&r, ports, count);
    free(ports);
    return count < 0 ? count : 0;
}
