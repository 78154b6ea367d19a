/* banger-metrics: gives the account's figures to who asks for them over HTTP on the loopback and
 * knows the token. The monitor starts it, the engine makes the text; what it parses is what any
 * account of this host may send. */
#include "../../common/io.h"
#include "serve.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static struct metrics_setup setup;

static int set_up(int *listener, struct err *e) {
    if (dup2(STDOUT_FILENO, STDERR_FILENO) < 0) /* nothing is said there, and no file stays open */
        return err_sys(e, errno, "banger-metrics was started without a standard output");
    if (io_read(METRICS_FD_CONTROL, &setup, sizeof(setup)) ||
        strnlen(setup.token, METRICS_TOKEN_SIZE) == METRICS_TOKEN_SIZE || strlen(setup.token) < METRICS_TOKEN_MIN)
        return err_set(e, EPROTO, "banger-metrics was not told where to listen");
    *listener = metrics_listen(&setup, e);
    return *listener < 0 ? *listener : metrics_confine(e);
}

int main(void) {
    struct metrics_hello hello = {.pid = getpid()};
    struct err e = {0};
    int listener = -1;
    (void) signal(SIGPIPE, SIG_IGN);
    int r = set_up(&listener, &e);
    hello.error = -r;
    (void) snprintf(hello.text, sizeof(hello.text), "%.*s", METRICS_SAID_SIZE - 1, r ? e.text : "");
    if (send(METRICS_FD_CONTROL, &hello, sizeof(hello), MSG_NOSIGNAL) != (ssize_t) sizeof(hello) || r)
        return 1;
    return metrics_serve(METRICS_FD_CONTROL, listener, &setup) ? 1 : 0;
}
