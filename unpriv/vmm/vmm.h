/* One small interface over the VMMs. A driver turns a vmm_config into the
 * argument block for banger-jail, and talks to the running VMM. */
#ifndef BANGER_VMM_VMM_H
#define BANGER_VMM_VMM_H

#include "../../common/err.h"
#include "../../common/jailargs.h"

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
    const char *name;     /* "qemu" */
    uint32_t policy_kind; /* index into the policy's VMM list */
    /* The argument block: a sealed memfd, the caller's, or a negative errno. */
    int (*arguments)(const struct vmm_config *config, struct err *e);
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

extern const struct vmm_driver vmm_qemu;

/* 1 when KVM runs ordinary guests here, found by the trial in a throw-away VM
 * (once a daemon, then remembered); 0 otherwise, with the reason in `why`. */
int vmm_kvm_works(uint64_t op, char why[256]);

/* The host's TSC frequency in kHz, measured once against CLOCK_MONOTONIC_RAW. */
uint64_t vmm_tsc_khz(void);

#endif
