/* The argument block that the engine hands to banger-jail through the helper's
 * vmm worker (which never reads it): the VMM's argument vector, in a memfd. */
#ifndef BANGER_COMMON_JAILARGS_H
#define BANGER_COMMON_JAILARGS_H

#include <stdint.h>

#define JAIL_ARGS_MAGIC 0x42474a41u
#define JAIL_ARGS_MAX   128
#define JAIL_ARGS_TEXT  16384
/* What a VMM that opens by name has in its folder: two sockets that it makes, and a fifo
 * that banger-jail reads, for its log. */
#define JAIL_FILE_API     "api.sock"
#define JAIL_FILE_VSOCK   "vsock.sock"
#define JAIL_FILE_LOG     "log"
#define JAIL_CONSOLE_KEEP (1u << 20) /* bytes of console and log kept; the file is cut back from twice that */

struct jail_args {
    uint32_t magic; /* JAIL_ARGS_MAGIC */
    uint32_t argc;  /* arguments after argv[0], which is the policy's binary; at most JAIL_ARGS_MAX */
    uint32_t used;  /* bytes of text; argc NUL-terminated strings */
    uint32_t reserved;
    char text[JAIL_ARGS_TEXT];
};

/* What banger-jail leaves in the status file when the VMM ends (it holds the
 * file's flock until then). */
struct jail_status {
    uint32_t magic;
    uint32_t wait_status; /* as waitpid(2) reports it */
};

#endif
