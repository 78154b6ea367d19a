/* Kernel packages: found or downloaded, and kept in the cache folder, so that a new
 * banger can put its own agent beside the same kernel. */
#ifndef BANGER_CLI_PACKAGE_H
#define BANGER_CLI_PACKAGE_H

#include "../../common/err.h"
#include "../store/paths.h"

/* With `modules` (or NULL): the kernel's file `from` with that folder of its modules. Else opens what `from` names: a
 * file; a folder as kernel_folder.h has it, or with exactly one kernel file or package in it; else a Debian package,
 * downloaded with apt-get (a metapackage is followed once). A descriptor, or a negative errno. */
int package_open(const struct paths *paths, const char *from, const char *modules, struct err *e);

/* Keeps a copy of `fd` for kernel `name`, appearing whole; a copy that cannot be kept
 * only costs a download later. */
void package_keep(const struct paths *paths, const char *name, int fd);

/* The copy kept for kernel `name`, or a negative errno. */
int package_kept(const struct paths *paths, const char *name);

/* Forgets that copy. */
void package_forget(const struct paths *paths, const char *name);

#endif
