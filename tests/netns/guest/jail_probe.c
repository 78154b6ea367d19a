/* A VMM that was taken over: run in the jail in place of QEMU, it tries to get out.
 * Exits with 42. */
#include "jail_try.h"

#include <stdio.h>
#include <sys/socket.h>

int main(void) {
    int declared;
    setvbuf(stdout, NULL, _IOLBF, 0);
    int others = strangers(10, 14, &declared);
    holds("has the five declared descriptors", declared == 5 && others == 0);
    try_place();
    try_limits();
    try_files();
    try_calls();
    refused("cannot make a socket", socket(AF_UNIX, SOCK_STREAM, 0));
    fprintf(stderr, "to stderr\n");
    return 42;
}
