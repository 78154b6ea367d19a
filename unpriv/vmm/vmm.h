/* One small interface over the VMMs. A driver turns a vmm_config into the
 * argument block for banger-jail, has the VMM run the guest, and talks to it. */
#ifndef BANGER_VMM_VMM_H
#define BANGER_VMM_VMM_H

#include "../../common/err.h"
#include "../../common/jailargs.h"
#include "../../common/wire.h"
#include "wait.h"

#include <stdint.h>

struct vmm_config {
    const char *name; /* the VM's, DNS label */
    uint32_t slot;
    uint32_t vcpus;
    uint32_t memory_mib;
    int kvm;          /* 1: KVM, 0: emulation */
    int root_device;  /* 1: the root disk is a block device, 0: a regular file */
    uint64_t tsc_khz; /* the host's TSC, for the guest's command line under emulation */
    uint8_t mac[6];
    const char *cmdline; /* the guest's own part of the kernel command line */
};

struct vmm_driver {
    const char *name;      /* "qemu", as in a VM's record */
    enum wire_style style; /* how it gets tap, disks and sockets */
    /* The argument block: a sealed memfd, the caller's, or a negative errno. */
    int (*arguments)(const struct vmm_config *config, struct err *e);
    /* Has the VMM that was just started run the guest; NULL: it does so by itself. */
    int (*boot)(const struct vmm_config *config, const struct vmm_wait *wait, struct err *e);
    /* A connection to the guest's agent, or to where it will listen: the caller's. */
    int (*agent)(uint32_t slot, const struct vmm_wait *wait, struct err *e);
    /* Each opens its own control connection through the monitor, with a deadline. */
    int (*pause)(uint32_t slot, struct err *e);
    int (*resume)(uint32_t slot, struct err *e);
    int (*powerdown)(uint32_t slot, struct err *e); /* press the power button */
    int (*quit)(uint32_t slot, struct err *e);      /* end the VMM, disks flushed */
    int (*status)(uint32_t slot, char text[32], struct err *e);
    /* What the VM's status is, and a descriptor that can be read (or hung up) when it may
     * have changed: then, or at the VM's end, it is given back and asked for anew. One a
     * slot; the calls above hang it up. A negative errno when the VMM does not answer. */
    int (*watch)(uint32_t slot, char text[32], struct err *e);
    void (*unwatch)(uint32_t slot, int fd);
};

extern const struct vmm_driver vmm_qemu, vmm_firecracker;

#define VMM_NAME_MAX 16

/* The driver of a VM's record. */
const struct vmm_driver *vmm_of(const char *name);
/* What a VM is made with that asks for `wanted`: "qemu" or "firecracker", or with "auto"
 * the second where the policy has it, it is there and KVM works. Its driver, or NULL with
 * `e` filled: no such word, or no line of the policy's. */
const struct vmm_driver *vmm_choose(const char *wanted, uint64_t op, struct err *e);
/* Which of the policy's vmm lines starts it. 0 or a negative errno: there is none. */
int vmm_kind(const struct vmm_driver *driver, uint32_t *kind, struct err *e);
/* Ends whatever VMM has the slot, where nothing else is known of it. */
int vmm_quit(uint32_t slot, struct err *e);

/* 1 when KVM runs ordinary guests here, found by the trial in a throw-away VM
 * (once a daemon, then remembered); 0 otherwise, with the reason in `why`. */
int vmm_kvm_works(uint64_t op, char why[256]);

/* The host's TSC frequency in kHz, measured once against CLOCK_MONOTONIC_RAW. */
uint64_t vmm_tsc_khz(void);

#endif
