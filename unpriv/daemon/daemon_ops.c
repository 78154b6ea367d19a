#include "../../common/json.h"
#include "../../common/version.h"
#include "../metrics/place.h"
#include "../priv/priv.h"
#include "../store/store.h"
#include "../vm/vm.h"
#include "../vmm/vmm.h"
#include "engine.h"
#include "events_op.h"
#include "metrics.h"
#include "metrics_port.h"
#include "monitor.h"
#include "rpc.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static void add_path(cJSON *object, const char *key, const char *below) {
    char path[8192];
    (void) snprintf(path, sizeof(path), "%s%s", engine.state_path, below);
    (void) cJSON_AddStringToObject(object, key, path);
}

/* --- daemon.status --------------------------------------------------------------- */

static void count_vm(const struct vm_record *r, void *arg) {
    (void) r;
    ++*(int *) arg;
}
static void count_image(const struct image_record *r, void *arg) {
    (void) r;
    ++*(int *) arg;
}
static void count_kernel(const struct kernel_record *r, void *arg) {
    (void) r;
    ++*(int *) arg;
}

/* Where names are answered, and what keeps them from it. */
static void add_dns(cJSON *status) {
    struct dns_hello hello;
    char place[DNS_PLACE_SIZE];
    int pid = 0;
    vm_dns_status(&hello, &pid);
    (void) cJSON_AddStringToObject(status, "dns", dns_place(&hello, place));
    (void) cJSON_AddNumberToObject(status, "dns_pid", pid);
    (void) cJSON_AddStringToObject(status, "dns_problem", hello.text);
}

/* The same of the figures' port; "" while there is to be none. */
static void add_metrics(cJSON *status) {
    struct metrics_port port;
    char place[METRICS_PLACE_SIZE];
    metrics_port_status(&port);
    metrics_place_show(port.place, place, sizeof(place));
    (void) cJSON_AddStringToObject(status, "metrics", port.place ? place : "");
    (void) cJSON_AddNumberToObject(status, "metrics_pid", port.pid);
    (void) cJSON_AddStringToObject(status, "metrics_problem", port.text);
    add_path(status, "metrics_token", "/" METRICS_TOKEN_FILE);
}

static int op_status(struct rpc *rpc, cJSON **result, struct err *e) {
    (void) rpc;
    int vms = 0;
    int images = 0;
    int kernels = 0;
    int helper = 0;
    char why[MONITOR_TEXT];
    int r = monitor_status(&helper, why, e);
    if (r == 0)
        r = store_vms(count_vm, &vms, e);
    if (r == 0)
        r = store_images(count_image, &images, e);
    if (r == 0)
        r = store_kernels(count_kernel, &kernels, e);
    if (r)
        return r;
    cJSON *status = *result = cJSON_CreateObject();
    (void) cJSON_AddNumberToObject(status, "pid", getpid());
    (void) cJSON_AddNumberToObject(status, "monitor_pid", getppid());
    (void) cJSON_AddNumberToObject(status, "helper_pid", helper);
    (void) cJSON_AddStringToObject(status, "version", engine.version);
    add_path(status, "socket", "/run/bangerd.sock");
    add_path(status, "log", "/bangerd.log");
    add_path(status, "state_dir", "");
    (void) cJSON_AddNumberToObject(status, "vms", vms);
    (void) cJSON_AddNumberToObject(status, "running", vm_running_count());
    (void) cJSON_AddNumberToObject(status, "taps_ready", vm_taps_ready());
    (void) cJSON_AddNumberToObject(status, "images", images);
    (void) cJSON_AddNumberToObject(status, "kernels", kernels);
    add_dns(status);
    add_metrics(status);
    return 0;
}

/* --- daemon.stop ------------------------------------------------------------------ */

static int op_stop(struct rpc *rpc, cJSON **result, struct err *e) {
    (void) rpc;
    (void) result;
    int r = monitor_stop(e);
    if (r == 0)
        rpc_stop();
    return r;
}

/* --- daemon.doctor ---------------------------------------------------------------- */

enum check_status { PASS, WARN, FAIL };

static void add_check(cJSON *checks, const char *name, enum check_status status, const char *text, const char *remedy) {
    static const char *const words[] = {[PASS] = "PASS", [WARN] = "WARN", [FAIL] = "FAIL"};
    cJSON *check = cJSON_CreateObject();
    (void) cJSON_AddStringToObject(check, "name", name);
    (void) cJSON_AddStringToObject(check, "status", words[status]);
    (void) cJSON_AddStringToObject(check, "text", text);
    (void) cJSON_AddStringToObject(check, "remedy", remedy);
    (void) cJSON_AddItemToArray(checks, check);
}

/* 1 when the helper answers, allowed or not. */
static int check_helper(cJSON *checks, uint64_t op) {
    uint64_t slots[(SLOT_MAX + 63) / 64];
    uint32_t subnet = 0;
    struct err refused = {0};
    struct err e = {0};
    int helper = 0;
    char why[MONITOR_TEXT] = "";
    char text[64];
    int r = priv_net_list(op, slots, &subnet, &refused);
    if (monitor_status(&helper, why, &e) || helper == 0) {
        add_check(checks, "helper", FAIL, r ? refused.text : why, "follow what it says, then `banger daemon stop`");
        add_check(checks, "policy", WARN, "not asked: banger-helper does not run", "see the check before");
        return 0;
    }
    (void) snprintf(text, sizeof(text), "banger-helper runs with its capabilities, pid %d", helper);
    add_check(checks, "helper", PASS, text, "");
    if (r) {
        add_check(checks, "policy", FAIL, refused.text, "an administrator changes " BANGER_POLICY);
        return 1;
    }
    (void) snprintf(text, sizeof(text), "this account has the subnet %u.%u.%u.%u/%d", subnet >> 24,
                    (subnet >> 16) & 255, (subnet >> 8) & 255, subnet & 255, SUBNET_PREFIX);
    add_check(checks, "policy", PASS, text, "");
    return 1;
}

static void check_records(cJSON *checks, uint64_t op) {
    enum wire_records where = WIRE_RECORDS_NONE;
    struct err e = {0};
    if (priv_records(op, &where, &e))
        add_check(checks, "audit", WARN, e.text, "see the checks before");
    else if (where == WIRE_RECORDS_FILE)
        add_check(checks, "audit", PASS,
                  "the helper's records go to this account's file in /var/log/banger and to syslog", "");
    else
        add_check(checks, "audit", WARN,
                  "the helper's records go to syslog alone: /var/log/banger is missing, or its file system or this "
                  "kernel has no idmapped mounts",
                  "an administrator runs `make install` again, or keeps syslog's records safe");
}

static void check_mapper(cJSON *checks, uint64_t op) {
    uint64_t slots[(SLOT_MAX + 63) / 64];
    struct err e = {0};
    if (priv_snap_list(op, slots, &e))
        add_check(checks, "device-mapper", WARN, e.text, "root disks are reflinks or copies without it");
    else
        add_check(checks, "device-mapper", PASS, "root disks can be snapshots of their image", "");
}

static void check_kvm(cJSON *checks, uint64_t op, int helper_answers) {
    char why[256] = "not tried: banger-helper does not run";
    if (helper_answers && vmm_kvm_works(op, why))
        add_check(checks, "kvm", PASS, "KVM runs guests", "");
    else
        add_check(checks, "kvm", WARN, why, "guests run by emulation, slower; for KVM switch on virtualisation here");
}

static void check_landlock(cJSON *checks) {
    char text[64];
    (void) snprintf(text, sizeof(text), "bangerd is confined, Landlock ABI %d", engine.landlock);
    if (engine.landlock > 0)
        add_check(checks, "landlock", PASS, text, "");
    else
        add_check(checks, "landlock", WARN, "this kernel has no Landlock: bangerd is confined by seccomp alone",
                  "boot a kernel from 5.13 on with landlock among its `lsm=`");
}

static void check_cgroup(cJSON *checks) {
    char why[MONITOR_TEXT] = "";
    struct err e = {0};
    if (monitor_cgroup_why(why, &e))
        add_check(checks, "cgroup", WARN, e.text, "see bangerd.log");
    else if (*why)
        add_check(checks, "cgroup", WARN, why, "VMs run all the same, with the limits of their own processes");
    else
        add_check(checks, "cgroup", PASS, "each VM has a cgroup with a ceiling for memory and tasks", "");
}

static void check_dns(cJSON *checks) {
    struct dns_hello hello;
    char text[64], place[DNS_PLACE_SIZE];
    int pid = 0;
    vm_dns_status(&hello, &pid);
    (void) snprintf(text, sizeof(text), "%s answers for .vm", dns_place(&hello, place));
    if (pid)
        add_check(checks, "dns", PASS, text, "");
    else if (hello.error == EADDRINUSE)
        add_check(checks, "dns", WARN, hello.text,
                  "end what `ss -lnptu sport = :42069` shows; names are answered soon after");
    else
        add_check(checks, "dns", WARN, *hello.text ? hello.text : "banger-dns is being started",
                  "without it VMs have addresses but no names; see bangerd.log");
}

/* Nothing where the account asked for no port. */
static void check_metrics(cJSON *checks) {
    struct metrics_port port;
    char place[METRICS_PLACE_SIZE], text[64], remedy[96];
    metrics_port_status(&port);
    metrics_place_show(port.place, place, sizeof(place));
    (void) snprintf(text, sizeof(text), "%s has the figures for Prometheus", place);
    (void) snprintf(remedy, sizeof(remedy), "end what `ss -lntp src %s` shows, or set another metrics_listen_addr",
                    place);
    if (port.place && port.pid)
        add_check(checks, "metrics", PASS, text, "");
    else if (port.place && port.error == EADDRINUSE)
        add_check(checks, "metrics", WARN, port.text, remedy);
    else if (port.place)
        add_check(checks, "metrics", WARN, *port.text ? port.text : "banger-metrics is being started",
                  "without it there is `banger metrics`; see bangerd.log");
}

static void check_recovery(cJSON *checks) {
    char what[ERR_TEXT_MAX];
    char text[ERR_TEXT_MAX + 32];
    char remedy[96];
    int64_t since = 0;
    struct err e = {0};
    int count = events_mended(what, sizeof(what), &since, &e);
    (void) snprintf(text, sizeof(text), "put right, %d in all: %s", count, what);
    (void) snprintf(remedy, sizeof(remedy), "nothing is left to do; `banger events --since %lld` tells it in order",
                    (long long) since);
    if (count < 0)
        add_check(checks, "recovery", WARN, e.text, "see bangerd.log");
    else if (count > 0)
        add_check(checks, "recovery", WARN, text, remedy);
    else
        add_check(checks, "recovery", PASS, "nothing had to be put right since bangerd was last started", "");
}

static int op_doctor(struct rpc *rpc, cJSON **result, struct err *e) {
    (void) e;
    *result = cJSON_CreateObject();
    cJSON *checks = cJSON_AddArrayToObject(*result, "checks");
    const int answers = check_helper(checks, rpc->op);
    if (answers) {
        check_records(checks, rpc->op);
        check_mapper(checks, rpc->op);
    }
    check_kvm(checks, rpc->op, answers);
    check_landlock(checks);
    check_cgroup(checks);
    check_dns(checks);
    check_metrics(checks);
    check_recovery(checks);
    return 0;
}

const struct rpc_op daemon_ops[] = {
    {"daemon.status", op_status}, {"daemon.stop", op_stop},       {"daemon.doctor", op_doctor},
    {"daemon.events", op_events}, {"daemon.metrics", op_metrics}, {NULL, NULL},
};
