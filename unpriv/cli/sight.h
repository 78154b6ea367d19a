/* What a process has in its hands and sees, from /proc/PID/{ns,fd,root}. Each answers a
 * JSON null where the kernel does not show it to the caller. */
#ifndef BANGER_CLI_SIGHT_H
#define BANGER_CLI_SIGHT_H

#include <cjson/cJSON.h>
#include <sys/types.h>

/* Names of the namespaces that differ from process 1's, or from the caller's own where
 * process 1's are hidden. */
cJSON *sight_namespaces(pid_t pid);

/* Objects: fd, access (r, w, rw, path), what. Sockets with their family and type. */
cJSON *sight_files(pid_t pid);

/* Texts: what lies in its root, but not below other mounts and links; with the numbers of
 * device nodes. At most SIGHT_ROOT_MAX. */
#define SIGHT_ROOT_MAX 100
cJSON *sight_root(pid_t pid);

#endif
