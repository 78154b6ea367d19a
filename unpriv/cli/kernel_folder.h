/* A kernel's folder as one stream: a root with boot and lib/modules in it (an unpacked package, another system),
 * or the folder that a kernel was built in. */
#ifndef BANGER_CLI_KERNEL_FOLDER_H
#define BANGER_CLI_KERNEL_FOLDER_H

#include "../../common/err.h"

/* Packs the kernel of the open folder `root` and the modules that a VM wants into a tar, in a file without a name in
 * the folder `cache`: boot/vmlinuz-RELEASE, lib/modules/RELEASE/... (docs/kernel-catalog.md). Symbolic links are
 * followed inside the folder only. `path` is for messages. A descriptor at the tar's start; 0 when the folder is
 * neither of the two; or a negative errno with `e` filled. */
int kernel_folder_pack(int root, const char *path, const char *cache, struct err *e);

/* The same of a kernel's file (bzImage or vmlinux) and the folder of its modules (lib/modules/RELEASE), which may lie
 * anywhere. A descriptor or a negative errno with `e` filled. */
int kernel_folder_pair(const char *kernel, const char *modules, const char *cache, struct err *e);

#endif
