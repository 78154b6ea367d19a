/* An account at work while banger is taken away: its helper, a jailed QEMU with its tap,
 * a persistent tap, and NAT through the default route's interface.
 *
 *   install-test UID GID FOLDER KERNEL
 *
 * Says "up" when all of it is there, and stays until it is killed. */
#include "jail_world.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static int done(uint32_t op, uint32_t slot, uint32_t kind) {
    struct wire_reply reply;
    const struct wire_request request = {.op = op, .slot = slot, .kind = kind};
    int fd = ask(WIRE_NET, &request, NULL, &reply);
    if (fd >= 0)
        close(fd);
    if (reply.verdict != WIRE_DONE)
        printf("operation %u: verdict %u reason %u error %d step %u\n", op, reply.verdict, reply.reason, reply.error,
               reply.step);
    return reply.verdict == WIRE_DONE;
}

int main(int argc, char **argv) {
    struct vm vm;
    struct wire_reply reply;
    if (argc != 5)
        return 2;
    world = (struct world){.uid = (uid_t) atoi(argv[1]),
                           .gid = (gid_t) atoi(argv[2]),
                           .folder = argv[3],
                           .kernel = argv[4],
                           .initrd = argv[4]};
    helper_start();
    vm_prepare(&vm, 0);
    vm_spawn(&vm, 0, &reply);
    int up = vm.pidfd >= 0 && done(WIRE_NET_EGRESS, 0, WIRE_EGRESS_NAT) && done(WIRE_NET_UP, 1, WIRE_TAP_NAMED);
    printf(up ? "up %d\n" : "not up: verdict %d\n", up ? vm.pid : (int) reply.verdict);
    (void) fflush(stdout);
    for (;;)
        (void) pause();
}
