/* Requests to the installed helper from a plain account: usage audit_main UID COUNT [hold].
 * Prints the last answer as "verdict V reason R records W helper PID"; with `hold` one more
 * request and line for each line of stdin. A helper that ended: "lost WHY: ITS STDERR". */
#include "lab.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void ask(struct lab_helper *h, int count) {
    struct wire_reply reply = {0};
    int r = 0;
    for (int i = 0; i < count && r == 0; i++)
        r = lab_call(h, WIRE_NET_LIST, 0, 0, &reply, NULL);
    if (r) {
        char said[512];
        lab_errors(h, said, sizeof(said));
        printf("lost %s: %s\n", strerror(-r), said);
    } else {
        printf("verdict %u reason %u records %u helper %d\n", reply.verdict, reply.reason, reply.records, h->pid);
    }
    (void) fflush(stdout);
}

int main(int argc, char **argv) {
    char line[16];
    if (argc < 3)
        return 2;
    struct lab_helper h = lab_start(LAB_HELPER, (uid_t) atoi(argv[1]), 1, NULL);
    ask(&h, atoi(argv[2]));
    while (argc > 3 && fgets(line, sizeof(line), stdin))
        ask(&h, 1);
    lab_end(&h);
    return 0;
}
