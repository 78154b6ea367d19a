/* Kernels: what VMs boot, kernels/<id>/{vmlinux,initrd}. */
#ifndef BANGER_KERNEL_KERNELS_H
#define BANGER_KERNEL_KERNELS_H

#include "../../common/err.h"

/* Start-up: removes folders that no record owns (imports that did not end). 0 or a negative errno. */
int kernels_recover(struct err *e);

#endif
