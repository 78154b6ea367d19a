/* What the requests do. In which phase each is good, and what else than its shape is
 * refused: rpc_interface.rs and the devices' configuration in Firecracker's source. What
 * banger has no use for is refused as not built, once its shape was right. */
#include "fake.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

struct guest guest = {.vcpus = 1, .memory = 128};

static const char *text_of(const cJSON *body, const char *name) {
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(body, name));
    return text ? text : "";
}
static int number_of(const cJSON *body, const char *name, int otherwise) {
    const cJSON *number = cJSON_GetObjectItemCaseSensitive(body, name);
    return cJSON_IsNumber(number) ? (int) number->valuedouble : otherwise;
}
static int true_of(const cJSON *body, const char *name) {
    return cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(body, name));
}

/* --- before the start -------------------------------------------------------------------- */

static void machine(const char *id, const cJSON *body, struct reply *reply) {
    int vcpus = number_of(body, "vcpu_count", 0), memory = number_of(body, "mem_size_mib", 0);
    (void) id;
    if (vcpus < 1 || vcpus > 32 || (true_of(body, "smt") && vcpus > 1 && vcpus % 2))
        return reply_fault(reply, "The vCPU number is invalid!");
    if (memory <= 0)
        return reply_fault(reply, "The memory size (MiB) is invalid.");
    guest.vcpus = vcpus;
    guest.memory = memory;
}

/* Opened now, as there. */
static int opens(const char *path, int flags) {
    int fd = open(path, flags | O_CLOEXEC);
    if (fd >= 0)
        (void) close(fd);
    return fd >= 0;
}

static void boot_source(const char *id, const cJSON *body, struct reply *reply) {
    const char *kernel = text_of(body, "kernel_image_path"), *initrd = text_of(body, "initrd_path");
    char magic[4] = "";
    (void) id;
    int fd = open(kernel, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || (*initrd && !opens(initrd, O_RDONLY)))
        return reply_fault(reply, "Cannot open the kernel or initrd file: %s", strerror(errno));
    (void) !read(fd, magic, 4);
    (void) close(fd);
    if (memcmp(magic, "\177ELF", 4) != 0)
        return reply_fault(reply, "The kernel file is no ELF file");
    if (strlen(text_of(body, "boot_args")) + sizeof(" pci=off") > sizeof(guest.args))
        return reply_fault(reply, "The kernel command line is invalid: too large");
    if (strstr(text_of(body, "boot_args"), "nomodule"))
        fake_log("Warn", "nomodule: no initramfs will load its drivers");
    (void) snprintf(guest.kernel, sizeof(guest.kernel), "%s", kernel);
    (void) snprintf(guest.initrd, sizeof(guest.initrd), "%s", initrd);
    (void) snprintf(guest.args, sizeof(guest.args), "%s pci=off", text_of(body, "boot_args"));
}

static void drive(const char *id, const cJSON *body, struct reply *reply) {
    const char *path = text_of(body, "path_on_host");
    int at = 0, read_only = true_of(body, "is_read_only");
    while (at < guest.drive_count && strcmp(guest.drives[at].id, id) != 0)
        at++;
    if (at == 8)
        return reply_fault(reply, "too many drives");
    if (!opens(path, read_only ? O_RDONLY : O_RDWR))
        return reply_fault(reply, "Unable to create the block device: %s: %s", strerror(errno), path);
    (void) snprintf(guest.drives[at].id, 64, "%s", id);
    (void) snprintf(guest.drives[at].path, 256, "%s", path);
    guest.drives[at].read_only = read_only;
    guest.drive_count += at == guest.drive_count;
}

static int is_mac(const char *text) {
    for (int i = 0; i < 17; i++)
        if (i % 3 == 2 ? text[i] != ':' : !isxdigit((unsigned char) text[i]))
            return 0;
    return text[17] == '\0';
}

/* Firecracker's own calls. */
static int open_tap(const char *name) {
    struct ifreq request = {.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR};
    int size = 12, fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
    (void) snprintf(request.ifr_name, IFNAMSIZ, "%s", name);
    if (fd >= 0 && (ioctl(fd, TUNSETIFF, &request) || ioctl(fd, TUNSETVNETHDRSZ, &size))) {
        (void) close(fd);
        return -1;
    }
    return fd;
}

static void network(const char *id, const cJSON *body, struct reply *reply) {
    const char *mac = text_of(body, "guest_mac"), *tap = text_of(body, "host_dev_name");
    int at = 0;
    while (at < guest.net_count && strcmp(guest.nets[at].id, id) != 0)
        at++;
    for (int i = 0; i < guest.net_count; i++)
        if (i != at && *mac && strcmp(guest.nets[i].mac, mac) == 0)
            return reply_fault(reply, "The MAC address is already in use: %s", mac);
    if (at == 4 || (*mac && !is_mac(mac)) || strlen(tap) >= IFNAMSIZ || !*tap)
        return reply_fault(reply, "Cannot create the network device: invalid MAC or name");
    if (at < guest.net_count)
        (void) close(guest.nets[at].tap);
    guest.nets[at].tap = open_tap(tap);
    if (guest.nets[at].tap < 0)
        return reply_fault(reply, "Open tap device failed: %s: Invalid TUN/TAP Backend provided by %s.",
                           strerror(errno), tap);
    (void) snprintf(guest.nets[at].id, 64, "%s", id);
    (void) snprintf(guest.nets[at].mac, 18, "%s", mac);
    guest.net_count += at == guest.net_count;
}

static void vsock(const char *id, const cJSON *body, struct reply *reply) {
    (void) id;
    if (number_of(body, "guest_cid", 0) < 3)
        return reply_fault(reply, "guest_cid: invalid");
    if (vsock_listen(text_of(body, "uds_path"), (uint32_t) number_of(body, "guest_cid", 0)))
        return reply_fault(reply, "Cannot create backend for vsock device: UnixBind(%s)", strerror(errno));
    guest.vsock = 1;
}

static void entropy(const char *id, const cJSON *body, struct reply *reply) {
    struct behaviour b;
    (void) id;
    (void) body;
    behaviour_read(&b);
    if (atoi(strchr(b.version, '.') + 1) < 4)
        return reply_fault(reply, "Invalid request method and/or path: PUT entropy.");
    guest.entropy = 1;
}

static void nothing(const char *id, const cJSON *body, struct reply *reply) {
    (void) id;
    (void) body;
    (void) reply;
}

/* --- actions ------------------------------------------------------------------------------- */

#define BEFORE "The requested operation is not supported before starting the microVM."
#define AFTER  "The requested operation is not supported after starting the microVM."

static void key(const char *name, int down, char *line, size_t size) {
    size_t used = strlen(line);
    (void) snprintf(line + used, size - used,
                    "%s{\"type\":\"key\",\"data\":{\"down\":%s,\"key\":{\"type\":\"qcode\",\"data\":\"%s\"}}}",
                    used && line[used - 1] == '}' ? "," : "", down ? "true" : "false", name);
}

static void action(const char *id, const cJSON *body, struct reply *reply) {
    static const char *const keys[] = {"ctrl", "alt", "delete"};
    const char *type = text_of(body, "action_type");
    const char *failed = NULL;
    char line[1024] = "{\"execute\":\"input-send-event\",\"arguments\":{\"events\":[";
    (void) id;
    if ((strcmp(type, "InstanceStart") == 0) != (guest.state == NOT_STARTED))
        return reply_fault(reply, "%s", guest.state == NOT_STARTED ? BEFORE : AFTER);
    if (strcmp(type, "InstanceStart") == 0) {
        failed = guest.kernel[0] ? guest_start() : "Cannot start microvm without kernel configuration.";
    } else if (strcmp(type, "SendCtrlAltDel") == 0) {
        for (int i = 0; i < 3; i++)
            key(keys[i], 1, line, sizeof(line));
        for (int i = 0; i < 3; i++)
            key(keys[i], 0, line, sizeof(line));
        (void) strcat(line, "]}}\n");
        failed = guest_command(line);
    }
    if (failed)
        reply_fault(reply, "%s", failed);
}

static void vm_state(const char *id, const cJSON *body, struct reply *reply) {
    const int pause = strcmp(text_of(body, "state"), "Paused") == 0;
    (void) id;
    const char *failed = guest_command(pause ? "{\"execute\":\"stop\"}\n" : "{\"execute\":\"cont\"}\n");
    if (failed)
        return reply_fault(reply, "%s", failed);
    guest.state = pause ? PAUSED : RUNNING;
}

static void instance(const char *id, const cJSON *body, struct reply *reply) {
    static const char *const states[] = {"Not started", "Running", "Paused"};
    struct behaviour b;
    (void) id;
    (void) body;
    behaviour_read(&b);
    reply->status = 200;
    (void) snprintf(reply->text, sizeof(reply->text),
                    "{\"id\":\"%s\",\"state\":\"%s\",\"vmm_version\":\"%s\",\"app_name\":\"Firecracker\"}", guest.id,
                    states[guest.state], b.version);
}

static void version(const char *id, const cJSON *body, struct reply *reply) {
    struct behaviour b;
    (void) id;
    (void) body;
    behaviour_read(&b);
    reply->status = 200;
    (void) snprintf(reply->text, sizeof(reply->text), "{\"firecracker_version\":\"%s\"}", b.version);
}

/* --- the table -------------------------------------------------------------------------------- */

enum phase { ANY, PRE, RUN };
static const struct {
    const char *method, *path;
    enum phase phase;
    void (*act)(const char *id, const cJSON *body, struct reply *reply);
} table[] = {
    {"GET", "/", ANY, instance},
    {"GET", "/version", ANY, version},
    {"PUT", "/actions", ANY, action},
    {"PUT", "/logger", PRE, nothing},
    {"PUT", "/machine-config", PRE, machine},
    {"PUT", "/boot-source", PRE, boot_source},
    {"PUT", "/drives/{drive_id}", PRE, drive},
    {"PUT", "/network-interfaces/{iface_id}", PRE, network},
    {"PUT", "/vsock", PRE, vsock},
    {"PUT", "/entropy", PRE, entropy},
    {"PATCH", "/vm", RUN, vm_state},
};

/* Letters, digits and '_'; and as in the body. */
static int id_good(const char *known, const char *id, const cJSON *body) {
    char name[64] = "";
    if (!id)
        return 1;
    for (const char *at = id; *at; at++)
        if (!isalnum((unsigned char) *at) && *at != '_')
            return 0;
    (void) snprintf(name, sizeof(name), "%s", strchr(known, '{') + 1);
    name[strcspn(name, "}")] = '\0';
    return strcmp(text_of(body, name), id) == 0;
}

void api_call(const char *method, const char *path, const cJSON *body, struct reply *reply) {
    const char *id, *known = check_path(method, path, &id);
    const int gets = strcmp(method, "GET") == 0;
    if (!known)
        return reply_fault(reply, "Invalid request method and/or path: %s %s.", method, path);
    if (gets && body)
        return reply_fault(reply, "GET request cannot have a body.");
    if (!gets && !body)
        return reply_fault(reply, "Empty %s request.", method);
    if (body && !check_body(method, path, body, reply))
        return;
    if (!id_good(known, id, body))
        return reply_fault(reply,
                           "The id from the path [%s] does not match the id from the body, or has other "
                           "characters than letters, digits and '_'!",
                           id);
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        if (strcmp(table[i].method, method) != 0 || strcmp(table[i].path, known) != 0)
            continue;
        if (table[i].phase == PRE && guest.state != NOT_STARTED)
            return reply_fault(reply, AFTER);
        if (table[i].phase == RUN && guest.state == NOT_STARTED)
            return reply_fault(reply, BEFORE);
        return table[i].act(id, body, reply);
    }
    reply_fault(reply, "%s %s is not built into this server of banger's tests", method, path);
}
