/* Mounts an ext4 as a guest's agent does at boot, and has it grow where its device is larger:
 *
 *   grown DEVICE TARGET */
#include "../../guest/agent/agent.h"

#include <stdio.h>
#include <string.h>

int main(int argc, char **argv) {
    int code = argc == 3 ? agent_disk_mount(argv[1], argv[2]) : -22;
    if (code < 0)
        (void) fprintf(stderr, "cannot mount %s: %s\n", argc == 3 ? argv[1] : "nothing", strerror(-code));
    return code < 0;
}
