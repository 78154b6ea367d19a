/* The modules that a VM's devices and disks need. The CLI takes them out of a folder by this too. */
#ifndef BANGER_KERNEL_IMPORT_WANTED_H
#define BANGER_KERNEL_IMPORT_WANTED_H

#include <stddef.h>

#define KERNEL_NAME_MAX 64

/* A module's name from the `length` bytes of a path or a file's name: no folder, no suffix, '_' for '-'.
 * 0 when it is none. */
int kernel_module_name_take(const char *path, size_t length, char name[KERNEL_NAME_MAX]);

/* The index in the table of the module of that name, or in that file (".../virtio-rng.ko.xz"); -1: none we want. */
int kernel_module_find(const char *name);
int kernel_module_index(const char *path);

/* How many there are, and what is known of each: its name with '_', as the kernel has it; whether a VM neither
 * boots nor answers without it; and a string that any kernel has in which it is built in (NULL: not known). */
extern const int kernel_modules_wanted;
const char *kernel_module_name(int index);
int kernel_module_required(int index);
const char *kernel_module_sign(int index);

#endif
