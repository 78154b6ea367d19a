/* QEMU's microvm machine, everything by inherited descriptor. */
#include "../../common/cleanup.h"
#include "../../common/mux.h"
#include "../../common/wire.h"
#include "../daemon/monitor.h"
#include "args.h"
#include "qmp.h"
#include "vmm.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#define QMP_TIMEOUT_MS 5000
#define CMDLINE_MAX    2047 /* x86 COMMAND_LINE_SIZE less the NUL; the kernel cuts silently */

/* The machine. The emulated CPU gets all that emulation has but five-level page
 * tables, which cost a walk at each miss and serve 128 TiB; tb-size bounds the
 * translator's memory (32..64 MiB: less makes it thrash). */
static void add_machine(struct jail_args *a, const struct vmm_config *c) {
    vmm_args_add(a, "-name");
    vmm_args_add(a, "banger-%s,debug-threads=on", c->name);
    vmm_args_add(a, "-M");
    vmm_args_add(a, "microvm,rtc=on");
    vmm_args_add(a, "-accel");
    vmm_args_add(a, c->kvm ? "kvm" : "tcg,thread=multi,tb-size=64");
    vmm_args_add(a, "-cpu");
    vmm_args_add(a, c->kvm ? "host" : "max,la57=off");
    vmm_args_add(a, "-m");
    vmm_args_add(a, "%" PRIu32, c->memory_mib);
    vmm_args_add(a, "-smp");
    vmm_args_add(a, "%" PRIu32, c->vcpus);
    static const char *const fixed[] = {
        "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
        /* The mmio transport is legacy unless told; the guest's drivers want version 1. */
        "-global", "virtio-mmio.force-legacy=false", "-sandbox",
        "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny"};
    for (size_t i = 0; i < sizeof(fixed) / sizeof(fixed[0]); i++)
        vmm_args_add(a, "%s", fixed[i]);
}

/* panic and reboot end QEMU (-no-reboot). Under emulation the PIT calibration of the
 * TSC fails now and then and the guest hangs; rdtsc there is the host's, so the
 * host's frequency is the answer. And there QEMU 7.2 translates code anew for each
 * virtual address it is mapped at: with the guest's user-space ASLR every exec pays
 * for its libraries again (26 ms for /bin/true instead of 6), so it is off. */
static int add_kernel(struct jail_args *a, const struct vmm_config *c, struct err *e) {
    char line[CMDLINE_MAX + 1], emulated[64] = "";
    if (!c->kvm)
        (void) snprintf(emulated, sizeof(emulated), " norandmaps tsc_early_khz=%" PRIu64, c->tsc_khz);
    int n = snprintf(line, sizeof(line), "%s%sconsole=ttyS0 quiet panic=-1 reboot=t%s", c->cmdline,
                     *c->cmdline ? " " : "", emulated);
    if (n < 0 || (size_t) n >= sizeof(line))
        return err_set(e, E2BIG, "the kernel command line is longer than %d bytes; shorten the VM's name", CMDLINE_MAX);
    vmm_args_add(a, "-kernel");
    vmm_args_add(a, "/kernel");
    vmm_args_add(a, "-initrd");
    vmm_args_add(a, "/initrd");
    vmm_args_add(a, "-append");
    vmm_args_add(a, "%s", line);
    return 0;
}

/* The host's page cache is used and the guest's flushes are honoured; what the
 * guest discards is freed in the file. A full host disk stops the VM (status
 * "io-error") rather than failing the guest's writes. */
static void add_disk(struct jail_args *a, int role, const char *driver, const char *serial) {
    vmm_args_add(a, "-add-fd");
    vmm_args_add(a, "fd=%d,set=%d", SPAWN_FD_NUMBER(role), role);
    vmm_args_add(a, "-blockdev");
    vmm_args_add(a, "driver=%s,node-name=%s,filename=/dev/fdset/%d,locking=off,discard=unmap", driver, serial, role);
    vmm_args_add(a, "-device");
    vmm_args_add(a, "virtio-blk-device,drive=%s,serial=%s", serial, serial);
}

static void add_devices(struct jail_args *a, const struct vmm_config *c) {
    vmm_args_add(a, "-netdev");
    vmm_args_add(a, "tap,id=net,fd=%d,vhost=off", SPAWN_FD_NUMBER(SPAWN_TAP));
    vmm_args_add(a, "-device");
    vmm_args_add(a, "virtio-net-device,netdev=net,mac=%02x:%02x:%02x:%02x:%02x:%02x", c->mac[0], c->mac[1], c->mac[2],
                 c->mac[3], c->mac[4], c->mac[5]);
    vmm_args_add(a, "-device");
    vmm_args_add(a, "virtio-rng-device");
    vmm_args_add(a, "-device");
    vmm_args_add(a, "virtio-serial-device,max_ports=2"); /* port 0 is the console's */
    vmm_args_add(a, "-chardev");
    vmm_args_add(a, "socket,id=agent,fd=%d,server=on,wait=off", SPAWN_FD_NUMBER(SPAWN_AGENT));
    vmm_args_add(a, "-device");
    vmm_args_add(a, "virtserialport,nr=1,chardev=agent,name=%s", MUX_PORT_NAME);
    vmm_args_add(a, "-chardev");
    vmm_args_add(a, "stdio,id=console,signal=off"); /* banger-jail has the other end */
    vmm_args_add(a, "-serial");
    vmm_args_add(a, "chardev:console");
    vmm_args_add(a, "-chardev");
    vmm_args_add(a, "socket,id=qmp,fd=%d,server=on,wait=off", SPAWN_FD_NUMBER(SPAWN_QMP));
    vmm_args_add(a, "-mon");
    vmm_args_add(a, "chardev=qmp,mode=control");
}

/* A comma or an equals sign would begin another of QEMU's options. */
static int name_is_label(const char *name) {
    size_t length = strlen(name);
    return length > 0 && length < 64 &&
           strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-") == length;
}

static int qemu_arguments(const struct vmm_config *config, struct err *e) {
    struct jail_args args;
    if (!name_is_label(config->name))
        return err_set(e, EINVAL, "a VM's name has letters, digits and '-' only, and fewer than 64 of them");
    vmm_args_start(&args);
    add_machine(&args, config);
    int r = add_kernel(&args, config, e);
    if (r)
        return r;
    add_disk(&args, SPAWN_ROOT, config->root_device ? "host_device" : "file", "root");
    add_disk(&args, SPAWN_WORK, "file", "work");
    add_devices(&args, config);
    return vmm_args_seal(&args, e);
}

/* --- control ------------------------------------------------------------------------ */

/* QEMU serves one connection at a time. A watch is hung up for a command and waits for
 * its turn while there is one. */
static struct {
    int watch; /* 0: none */
    unsigned commands;
} slots[SLOT_MAX];
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t ended = PTHREAD_COND_INITIALIZER;

static void command_begins(uint32_t slot) {
    (void) pthread_mutex_lock(&mutex);
    slots[slot].commands++;
    if (slots[slot].watch)
        (void) shutdown(slots[slot].watch, SHUT_RDWR);
    (void) pthread_mutex_unlock(&mutex);
}

static void command_ended(uint32_t slot) {
    (void) pthread_mutex_lock(&mutex);
    slots[slot].commands--;
    (void) pthread_cond_broadcast(&ended);
    (void) pthread_mutex_unlock(&mutex);
}

static int command(uint32_t slot, const char *name, struct err *e) {
    command_begins(slot);
    cleanup_fd int fd = monitor_connect(slot, MONITOR_QMP, e);
    int r = fd < 0 ? fd : qmp_run(fd, name, QMP_TIMEOUT_MS, NULL, e);
    command_ended(slot);
    return r;
}

static int qemu_watch(uint32_t slot, char text[32], struct err *e) {
    (void) pthread_mutex_lock(&mutex);
    while (slots[slot].commands)
        (void) pthread_cond_wait(&ended, &mutex);
    (void) pthread_mutex_unlock(&mutex);
    cleanup_fd int fd = monitor_connect(slot, MONITOR_QMP, e);
    int r = fd < 0 ? fd : qmp_status(fd, QMP_TIMEOUT_MS, text, e);
    if (r)
        return r;
    (void) pthread_mutex_lock(&mutex);
    slots[slot].watch = fd;
    if (slots[slot].commands)
        (void) shutdown(fd, SHUT_RDWR);
    (void) pthread_mutex_unlock(&mutex);
    return take_fd(&fd);
}

static void qemu_unwatch(uint32_t slot, int fd) {
    (void) pthread_mutex_lock(&mutex);
    if (slots[slot].watch == fd)
        slots[slot].watch = 0;
    (void) close(fd);
    (void) pthread_mutex_unlock(&mutex);
}

static int qemu_pause(uint32_t slot, struct err *e) {
    return command(slot, "stop", e);
}
static int qemu_resume(uint32_t slot, struct err *e) {
    return command(slot, "cont", e);
}
static int qemu_powerdown(uint32_t slot, struct err *e) {
    return command(slot, "system_powerdown", e);
}
static int qemu_quit(uint32_t slot, struct err *e) {
    return command(slot, "quit", e);
}

static int qemu_status(uint32_t slot, char text[32], struct err *e) {
    command_begins(slot);
    cleanup_fd int fd = monitor_connect(slot, MONITOR_QMP, e);
    int r = fd < 0 ? fd : qmp_status(fd, QMP_TIMEOUT_MS, text, e);
    command_ended(slot);
    return r;
}

/* What is written before the guest is up waits for it. */
static int qemu_agent(uint32_t slot, const struct vmm_wait *wait, struct err *e) {
    (void) wait;
    return monitor_connect(slot, MONITOR_AGENT, e);
}

const struct vmm_driver vmm_qemu = {
    .name = "qemu",
    .style = SPAWN_BY_FD,
    .arguments = qemu_arguments,
    .agent = qemu_agent,
    .pause = qemu_pause,
    .resume = qemu_resume,
    .powerdown = qemu_powerdown,
    .quit = qemu_quit,
    .status = qemu_status,
    .watch = qemu_watch,
    .unwatch = qemu_unwatch,
};
