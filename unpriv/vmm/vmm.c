/* Which VMM: the drivers by name, and what the policy has of them. */
#include "vmm.h"

#include "../../policy/policy.h"
#include "../priv/priv.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

static const struct vmm_driver *const drivers[] = {&vmm_firecracker, &vmm_qemu};
#define DRIVERS (sizeof(drivers) / sizeof(drivers[0]))

const struct vmm_driver *vmm_of(const char *name) {
    return strcmp(name, vmm_firecracker.name) == 0 ? &vmm_firecracker : &vmm_qemu;
}

/* The line's place among the policy's, which says by the name how it is started; -1
 * without one. */
static int find_line(const struct policy *policy, const struct vmm_driver *driver) {
    for (uint32_t i = 0; i < policy->vmm_count; i++) {
        if ((strcmp(policy->vmms[i].name, vmm_firecracker.name) == 0) == (driver->style == SPAWN_BY_NAME))
            return (int) i;
    }
    return -1;
}

/* The line, and its program in `binary` (may be NULL). A policy that cannot be read here
 * is the helper's to explain: the first line then. */
static int policy_line(const struct vmm_driver *driver, char binary[POLICY_PATH_SIZE], struct err *e) {
    static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
    static struct policy_file file;
    (void) pthread_mutex_lock(&mutex);
    policy_refresh(&file, BANGER_POLICY);
    enum policy_reason fault = file.policy.fault;
    int line = fault == POLICY_ALLOWED ? find_line(&file.policy, driver) : 0;
    if (line >= 0 && binary)
        memcpy(binary, file.policy.vmms[line].binary, POLICY_PATH_SIZE);
    (void) pthread_mutex_unlock(&mutex);
    if (fault != POLICY_ALLOWED && driver->style == SPAWN_BY_NAME)
        return err_set(e, EACCES, "cannot start %s: %s", driver->name, priv_sentence(fault));
    if (line < 0)
        return err_set(
            e, ENOENT,
            "the policy has no program for %s: an administrator adds `vmm %s /PATH/OF/ITS/PROGRAM` to " BANGER_POLICY,
            driver->name, driver->name);
    return line;
}

int vmm_kind(const struct vmm_driver *driver, uint32_t *kind, struct err *e) {
    int line = policy_line(driver, NULL, e);
    *kind = line < 0 ? 0 : (uint32_t) line;
    return line < 0 ? line : 0;
}

static const struct vmm_driver *choose(uint64_t op) {
    char binary[POLICY_PATH_SIZE], why[256];
    int line = policy_line(&vmm_firecracker, binary, NULL);
    return line >= 0 && access(binary, X_OK) == 0 && vmm_kvm_works(op, why) ? &vmm_firecracker : &vmm_qemu;
}

const struct vmm_driver *vmm_choose(const char *wanted, uint64_t op, struct err *e) {
    if (strcmp(wanted, "auto") == 0)
        return choose(op);
    for (size_t i = 0; i < DRIVERS; i++) {
        if (strcmp(wanted, drivers[i]->name) == 0)
            return policy_line(drivers[i], NULL, e) < 0 ? NULL : drivers[i];
    }
    (void) err_set(e, EINVAL, "\"vmm\" must be auto, firecracker or qemu");
    return NULL;
}

int vmm_quit(uint32_t slot, struct err *e) {
    int r = -ENOENT;
    for (size_t i = 0; i < DRIVERS && r; i++)
        r = drivers[i]->quit(slot, e);
    return r;
}
