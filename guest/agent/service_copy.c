/* The guest's end of `vm cp`: put DESTINATION BASE, get SOURCE. */
#include "agent.h"

#include "../../common/tree.h"

#include <signal.h>
#include <unistd.h>

int service_put(int argc, char **argv) {
    static struct tree_receiver receiver;
    if (argc != 3)
        return 2;
    (void) signal(SIGHUP, SIG_IGN); /* its input ends then, and so it does, leaving no half file */
    receiver.fd = STDIN_FILENO;
    int rc = tree_receive(&receiver, argv[1], argv[2]);
    return tree_answer(STDOUT_FILENO, rc ? receiver.said : "") || rc ? 1 : 0;
}

int service_get(int argc, char **argv) {
    static struct tree_sender sender;
    if (argc != 2)
        return 2;
    sender.fd = STDOUT_FILENO;
    return tree_send(&sender, argv[1]) ? 1 : 0;
}
