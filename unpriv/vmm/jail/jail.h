/* banger-jail: the first process of a VM's jail (PID 1 of its namespaces).
 *
 * The helper's vmm worker starts it with all capabilities gone, no_new_privs set
 * and only the descriptors SPAWN_FD_NUMBER(role) of common/wire.h. It confines
 * and starts the VMM, keeps console and log bounded, passes on signals, and
 * leaves the exit status. Nothing here allocates memory. */
#ifndef BANGER_VMM_JAIL_JAIL_H
#define BANGER_VMM_JAIL_JAIL_H

#include "../../../common/jailargs.h"

#include <stddef.h>
#include <stdint.h>

#define JAIL_EXIT_BROKEN 125 /* the jail could not start the VMM; the log says why */
#define JAIL_EXIT_EXEC   127 /* the VMM's binary could not be executed */

/* Reads the argument block from `fd` (a file of exactly that size) into `out`
 * and checks all of it: 0, or a negative errno (-EBADMSG: not a valid block). The
 * block is a copy afterwards: who still holds the file changes nothing. */
int jailargs_read(int fd, struct jail_args *out);

/* 0 when the block is well-formed: magic, counts, zero reserved bytes, and exactly
 * `argc` NUL-terminated strings in `used` bytes; else -EBADMSG. */
int jailargs_check(const struct jail_args *args);

/* Fills `argv` (JAIL_ARGS_MAX + 2 entries) with `binary`, the strings of a
 * checked block, and NULL. The strings stay in the block. */
void jailargs_vector(struct jail_args *args, char *binary, char **argv);

/* A byte stream kept bounded in a regular file: when the file has grown to twice
 * `keep` bytes, its last `keep` bytes are moved to the front and the rest is cut
 * off. Errors of the file (a full disk, say) drop bytes, and are not reported:
 * the VMM must never wait for its log. */
struct pump {
    int from;      /* read end of a pipe, O_NONBLOCK; -1 once it ended */
    int file;      /* O_RDWR */
    uint64_t size; /* of the file */
    uint64_t keep;
};

/* Starts at the end of what the file holds. 0 or a negative errno. */
int pump_open(struct pump *pump, int from, int file, uint64_t keep);

/* Appends bytes as described above. */
void pump_write(struct pump *pump, const void *data, size_t size);

/* Moves what the pipe holds now, at most 16 reads: 1 while the pipe lives, 0 once it has ended. */
int pump_move(struct pump *pump);

/* Confines the VMM, in its process before the exec: Landlock (reads the jail's
 * read-only root, writes /vm and the disks mounted there, devices in /dev, executes
 * `binary` and the dynamic loader) and the VMM's seccomp list, `by_name` that of one that
 * makes its own sockets. 0 or a negative errno. */
int confine_vmm(const char *binary, int by_name);

/* Confines banger-jail itself once the VMM runs: no path at all, and the system
 * calls of its loop. 0 or a negative errno. */
int confine_init(void);

/* Runs a few instructions, AVX and BMI where this CPU has them, in a throw-away
 * VM. 0 when KVM ran them with the right results; else -1 and one line in `why`. */
int trial_run(char *why, size_t size);

#endif
