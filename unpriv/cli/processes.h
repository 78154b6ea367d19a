/* banger's own processes as the kernel describes them at this moment: nothing here comes
 * from a table of what they should be. */
#ifndef BANGER_CLI_PROCESSES_H
#define BANGER_CLI_PROCESSES_H

#include <cjson/cJSON.h>
#include <sys/types.h>

#define PROCESSES_OF_ALL ((uid_t) -1)

/* One object a process of `uid` (or of every account), parents first:
 *   pid, uid, name, role (monitor, engine, import, fetch, helper, worker, jail, vmm), and with a
 *   worker whose descriptors can be seen `worker` (net, disk, vmm);
 *   capabilities: effective, permitted, inheritable, bounding, ambient, as text;
 *   no_new_privs, seccomp (0: none, 2: filter), filters (their number; -1: kernel before 5.9);
 *   namespaces: those that are not process 1's (or not the caller's where that cannot be seen);
 *   files: fd, access (r, w, rw), what;
 *   root: what is in a root of its own (only where the mount namespace is its own);
 *   calls: system calls its filters let through, `*` where the arguments decide.
 * What the kernel does not show to the caller is null. The caller's to free. */
cJSON *processes_read(uid_t uid);

#endif
