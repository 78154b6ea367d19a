/* Firecracker: it opens tap and disks by name in its jail and makes its sockets there
 * itself. The guest is set up and started through its API (src/firecracker/swagger in
 * its source), and then has no other way to end than a reset. */
#include "../../common/cleanup.h"
#include "../../common/io.h"
#include "../../common/mux.h"
#include "../daemon/monitor.h"
#include "args.h"
#include "http.h"
#include "hybrid.h"
#include "vmm.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/socket.h>

#ifndef SO_PEERPIDFD /* Linux 6.5 */
#define SO_PEERPIDFD 77
#endif

#define VCPUS_MOST   32
#define CMDLINE_MAX  1792  /* of its 2047 bytes it needs some for what it adds itself */
#define API_MS       10000 /* until it listens; 12 ms are usual */
#define CALL_MS      35000 /* it gives a pausing guest 30 s itself */
#define STATUS_MS    5000
#define API_NAP_MS   2
#define AGENT_NAP_MS 5 /* between two tries to reach an agent that may not be up yet */
#define GUEST_CID    3 /* each VMM's own: no two VMs' can collide */

#define IN_JAIL(name) "/vm/" name

/* --- its command line ---------------------------------------------------------------- */

/* An instance's id has letters, digits and '-', at most 64. */
static int name_is_id(const char *name) {
    size_t length = strlen(name);
    return length > 0 && length <= 64 &&
           strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-") == length;
}

/* The console is its standard output, which banger-jail keeps bounded, as it does the
 * fifo for the log. At Info it would log whole requests. */
static int firecracker_arguments(const struct vmm_config *config, struct err *e) {
    const char *const list[] = {"--api-sock", IN_JAIL(JAIL_FILE_API), "--id",    config->name,
                                "--log-path", IN_JAIL(JAIL_FILE_LOG), "--level", "Warning"};
    struct jail_args args;
    if (!name_is_id(config->name))
        return err_set(e, EINVAL, "a VM's name has letters, digits and '-' only, and at most 64 of them");
    if (config->vcpus > VCPUS_MOST)
        return err_set(e, EINVAL,
                       "Firecracker gives a VM at most %d processors, and %" PRIu32 " are asked for: "
                       "`--vmm qemu` gives more",
                       VCPUS_MOST, config->vcpus);
    vmm_args_start(&args);
    for (size_t i = 0; i < sizeof(list) / sizeof(list[0]); i++)
        vmm_args_add(&args, "%s", list[i]);
    return vmm_args_seal(&args, e);
}

/* --- its API -------------------------------------------------------------------------- */

/* What it says is wrong: {"fault_message": ...} of a request that it understood; of one
 * that it did not, a text that looks like JSON and is none. */
static void fault_text(const struct http_reply *reply, char *text, size_t size) {
    cJSON *object = cJSON_ParseWithLength(reply->body, reply->body_size);
    const char *fault = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, "fault_message"));
    if (!fault)
        fault = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, "error"));
    int length = fault ? (int) strlen(fault) : (int) reply->body_size;
    (void) snprintf(text, size, "%.*s", length, fault ? fault : reply->body);
    for (char *at = strpbrk(text, "\r\n\t"); at; at = strpbrk(at, "\r\n\t"))
        *at = ' ';
    text_sanitize(text);
    cJSON_Delete(object);
}

/* One request; what it answers goes to `*answer` (may be NULL; the caller's). */
static int request(struct http *http, const char *method, const char *path, const char *body,
                   const struct vmm_wait *wait, cJSON **answer, struct err *e) {
    struct http_reply reply;
    char fault[320];
    int r = http_call(http, method, path, body, wait, &reply, e);
    if (r)
        return err_prefix(e, "Firecracker, %s %s", method, path);
    if (reply.status < 200 || reply.status > 299) {
        fault_text(&reply, fault, sizeof(fault));
        return err_set(e, EPROTO, "Firecracker refuses %s %s (%d): %s", method, path, reply.status,
                       *fault ? fault : "no reason given");
    }
    if (!answer)
        return 0;
    *answer = cJSON_ParseWithLength(reply.body, reply.body_size);
    if (cJSON_IsObject(*answer))
        return 0;
    cJSON_Delete(*answer);
    *answer = NULL;
    return err_set(e, EPROTO, "Firecracker's answer to %s %s cannot be read", method, path);
}

/* One request on a connection of its own. */
static int command(uint32_t slot, const char *method, const char *path, const char *body, int timeout_ms,
                   cJSON **answer, struct err *e) {
    const struct vmm_wait wait = {.deadline = io_now_ms() + timeout_ms};
    struct http http;
    cleanup_fd int fd = monitor_connect(slot, MONITOR_FIRECRACKER, e);
    int r = fd < 0 ? fd : http_open(&http, fd, e);
    if (r)
        return r;
    r = request(&http, method, path, body, &wait, answer, e);
    http_close(&http);
    return r;
}

/* --- setting a guest up ----------------------------------------------------------------- */

struct setup {
    const struct vmm_config *config;
    const struct vmm_wait *wait;
    struct http http;
    unsigned version; /* major * 1000 + minor */
};

static cJSON *machine(const struct vmm_config *c) {
    cJSON *body = cJSON_CreateObject();
    (void) cJSON_AddNumberToObject(body, "vcpu_count", c->vcpus);
    (void) cJSON_AddNumberToObject(body, "mem_size_mib", c->memory_mib);
    return body;
}

/* Its own default line has "nomodule", which would keep the drivers out. reboot=k and the
 * keyboard's words: the reset and Ctrl+Alt+Del are what it has of a machine's switches. */
static cJSON *kernel(const struct vmm_config *c) {
    char line[CMDLINE_MAX + 256];
    (void) snprintf(line, sizeof(line),
                    "%s banger.root=vda banger.work=vdb banger.off=reset console=ttyS0 quiet panic=-1 reboot=k "
                    "i8042.noaux i8042.nomux i8042.dumbkbd swiotlb=noforce",
                    c->cmdline);
    cJSON *body = cJSON_CreateObject();
    (void) cJSON_AddStringToObject(body, "kernel_image_path", "/kernel");
    (void) cJSON_AddStringToObject(body, "initrd_path", "/initrd");
    (void) cJSON_AddStringToObject(body, "boot_args", line);
    return body;
}

/* A root device would add to the kernel's command line, which the initramfs does not
 * want: the drives are found by their order. */
static cJSON *drive(const char *id, const char *path) {
    cJSON *body = cJSON_CreateObject();
    (void) cJSON_AddStringToObject(body, "drive_id", id);
    (void) cJSON_AddStringToObject(body, "path_on_host", path);
    (void) cJSON_AddBoolToObject(body, "is_root_device", 0);
    (void) cJSON_AddBoolToObject(body, "is_read_only", 0);
    (void) cJSON_AddStringToObject(body, "cache_type", "Writeback"); /* a guest's flush is one */
    return body;
}
static cJSON *root_drive(const struct vmm_config *c) {
    (void) c;
    return drive("root", "/root.ext4");
}
static cJSON *work_drive(const struct vmm_config *c) {
    (void) c;
    return drive("work", "/work.ext4");
}

static cJSON *network(const struct vmm_config *c) {
    char tap[IFNAME_SIZE], mac[18];
    addr_tap_name(tap, getuid(), c->slot);
    (void) snprintf(mac, sizeof(mac), "%02x:%02x:%02x:%02x:%02x:%02x", c->mac[0], c->mac[1], c->mac[2], c->mac[3],
                    c->mac[4], c->mac[5]);
    cJSON *body = cJSON_CreateObject();
    (void) cJSON_AddStringToObject(body, "iface_id", "eth0");
    (void) cJSON_AddStringToObject(body, "host_dev_name", tap);
    (void) cJSON_AddStringToObject(body, "guest_mac", mac);
    return body;
}

static cJSON *vsock(const struct vmm_config *c) {
    (void) c;
    cJSON *body = cJSON_CreateObject();
    (void) cJSON_AddNumberToObject(body, "guest_cid", GUEST_CID);
    (void) cJSON_AddStringToObject(body, "uds_path", IN_JAIL(JAIL_FILE_VSOCK));
    return body;
}

static cJSON *empty(const struct vmm_config *c) {
    (void) c;
    return cJSON_CreateObject();
}

static cJSON *start(const struct vmm_config *c) {
    (void) c;
    cJSON *body = cJSON_CreateObject();
    (void) cJSON_AddStringToObject(body, "action_type", "InstanceStart");
    return body;
}

/* In the order in which it wants them; the guest runs after the last one. */
static const struct step {
    const char *path;
    cJSON *(*body)(const struct vmm_config *config);
    unsigned since; /* the version that brought it; without it a guest is as well */
} steps[] = {
    {"/machine-config", machine, 0},
    {"/boot-source", kernel, 0},
    {"/drives/root", root_drive, 0},
    {"/drives/work", work_drive, 0},
    {"/network-interfaces/eth0", network, 0},
    {"/vsock", vsock, 0},
    {"/entropy", empty, 1004},
    {"/actions", start, 0},
};

/* "1.16.1" or "1.17.0-dev": 1016, 1017; 0 for anything else. */
static unsigned version_number(const char *text) {
    char *end;
    unsigned long major = strtoul(text, &end, 10);
    unsigned long minor = end > text && *end == '.' ? strtoul(end + 1, NULL, 10) : 1000;
    return major < 1000 && minor < 1000 ? (unsigned) (major * 1000 + minor) : 0;
}

static int take_version(struct setup *s, struct err *e) {
    cJSON *answer = NULL;
    int r = request(&s->http, "GET", "/version", NULL, s->wait, &answer, e);
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(answer, "firecracker_version"));
    s->version = text ? version_number(text) : 0;
    if (r == 0 && s->version == 0)
        r = err_set(e, EPROTO, "Firecracker does not say which version it is");
    cJSON_Delete(answer);
    return r;
}

static int take_step(struct setup *s, const struct step *step, struct err *e) {
    cJSON *object = step->body(s->config);
    cleanup_free char *body = cJSON_PrintUnformatted(object);
    cJSON_Delete(object);
    if (!body)
        return err_set(e, ENOMEM, "out of memory");
    return request(&s->http, "PUT", step->path, body, s->wait, NULL, e);
}

/* It makes the socket when it starts. */
static int wait_api(uint32_t slot, const struct vmm_wait *wait, struct err *e) {
    const long long most = io_now_ms() + API_MS;
    struct vmm_wait until = *wait;
    until.deadline = most < wait->deadline ? most : wait->deadline;
    for (;;) {
        int fd = monitor_connect(slot, MONITOR_FIRECRACKER, e);
        if (fd >= 0 || (fd != -ENOENT && fd != -ECONNREFUSED && fd != -EAGAIN))
            return fd;
        int r = vmm_wait_nap(API_NAP_MS, &until);
        if (r)
            return err_set(e, -r, "Firecracker does not serve its API");
    }
}

static int firecracker_boot(const struct vmm_config *config, const struct vmm_wait *wait, struct err *e) {
    struct setup s = {.config = config, .wait = wait};
    if (strlen(config->cmdline) >= CMDLINE_MAX)
        return err_set(e, E2BIG, "the kernel command line is longer than %d bytes; shorten the VM's name", CMDLINE_MAX);
    cleanup_fd int fd = wait_api(config->slot, wait, e);
    int r = fd < 0 ? fd : http_open(&s.http, fd, e);
    if (r)
        return r;
    r = take_version(&s, e);
    for (size_t i = 0; r == 0 && i < sizeof(steps) / sizeof(steps[0]); i++) {
        if (s.version >= steps[i].since)
            r = take_step(&s, &steps[i], e);
    }
    http_close(&s.http);
    return r;
}

/* Until the agent listens the device hangs up. */
static int firecracker_agent(uint32_t slot, const struct vmm_wait *wait, struct err *e) {
    for (;;) {
        cleanup_fd int fd = monitor_connect(slot, MONITOR_FIRECRACKER_VSOCK, e);
        int r = fd < 0 ? fd : hybrid_connect(fd, MUX_VSOCK_PORT, wait, e);
        if (r == 0)
            return take_fd(&fd);
        if (r == -ECONNREFUSED || r == -EAGAIN) {
            r = vmm_wait_nap(AGENT_NAP_MS, wait);
            if (r == 0)
                continue;
            (void) err_set(e, -r, "the guest's agent did not answer");
        }
        return r;
    }
}

/* --- control ------------------------------------------------------------------------ */

static int set_state(uint32_t slot, const char *body, struct err *e) {
    return command(slot, "PATCH", "/vm", body, CALL_MS, NULL, e);
}
static int firecracker_pause(uint32_t slot, struct err *e) {
    return set_state(slot, "{\"state\":\"Paused\"}", e);
}
static int firecracker_resume(uint32_t slot, struct err *e) {
    return set_state(slot, "{\"state\":\"Resumed\"}", e);
}

/* A keyboard is all it has of a power button: init reboots, and the reset is the end. */
static int firecracker_powerdown(uint32_t slot, struct err *e) {
    return command(slot, "PUT", "/actions", "{\"action_type\":\"SendCtrlAltDel\"}", STATUS_MS, NULL, e);
}

/* Its API cannot end it. The kernel knows who listens on the socket: nobody else can be
 * hit, whatever the VMM has become. */
static int firecracker_quit(uint32_t slot, struct err *e) {
    int peer = -1;
    socklen_t size = sizeof(peer);
    cleanup_fd int fd = monitor_connect(slot, MONITOR_FIRECRACKER, e);
    if (fd < 0)
        return fd;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERPIDFD, &peer, &size))
        return firecracker_powerdown(slot, e);
    int r = pidfd_send_signal(peer, SIGKILL, NULL, 0) ? -errno : 0;
    (void) close(peer);
    return r && r != -ESRCH ? err_sys(e, -r, "cannot end Firecracker") : 0;
}

static int take_status(struct http *http, char text[32], struct err *e) {
    static const struct {
        const char *its, *ours;
    } states[] = {{"Running", "running"}, {"Paused", "paused"}, {"Not started", "prelaunch"}};
    const struct vmm_wait wait = {.deadline = io_now_ms() + STATUS_MS};
    cJSON *answer = NULL;
    int r = request(http, "GET", "/", NULL, &wait, &answer, e);
    const char *state = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(answer, "state"));
    text[0] = '\0';
    for (size_t i = 0; state && i < sizeof(states) / sizeof(states[0]); i++) {
        if (strcmp(state, states[i].its) == 0)
            (void) snprintf(text, 32, "%s", states[i].ours);
    }
    cJSON_Delete(answer);
    return r || *text ? r : err_set(e, EPROTO, "Firecracker does not say what its state is");
}

/* The connection says nothing more until the VMM ends. */
static int firecracker_watch(uint32_t slot, char text[32], struct err *e) {
    struct http http;
    cleanup_fd int fd = monitor_connect(slot, MONITOR_FIRECRACKER, e);
    int r = fd < 0 ? fd : http_open(&http, fd, e);
    if (r)
        return r;
    r = take_status(&http, text, e);
    http_close(&http);
    return r ? r : take_fd(&fd);
}

static void firecracker_unwatch(uint32_t slot, int fd) {
    (void) slot;
    (void) close(fd);
}

static int firecracker_status(uint32_t slot, char text[32], struct err *e) {
    int fd = firecracker_watch(slot, text, e);
    if (fd >= 0)
        (void) close(fd);
    return fd < 0 ? fd : 0;
}

const struct vmm_driver vmm_firecracker = {
    .name = "firecracker",
    .style = SPAWN_BY_NAME,
    .arguments = firecracker_arguments,
    .boot = firecracker_boot,
    .agent = firecracker_agent,
    .pause = firecracker_pause,
    .resume = firecracker_resume,
    .powerdown = firecracker_powerdown,
    .quit = firecracker_quit,
    .status = firecracker_status,
    .watch = firecracker_watch,
    .unwatch = firecracker_unwatch,
};
