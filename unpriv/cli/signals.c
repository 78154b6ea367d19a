#include "signals.h"

#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <sys/signalfd.h>
#include <unistd.h>

static int descriptor = -1;
static sigset_t before;
static atomic_int ending;

int signals_open(void) {
    static const int handled[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP, SIGCONT, SIGWINCH};
    if (descriptor >= 0)
        return descriptor;
    sigset_t set;
    (void) sigemptyset(&set);
    for (size_t i = 0; i < sizeof(handled) / sizeof(handled[0]); i++)
        (void) sigaddset(&set, handled[i]);
    (void) sigprocmask(SIG_BLOCK, &set, &before);
    descriptor = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    return descriptor;
}

int signals_next(void) {
    struct signalfd_siginfo info;
    if (descriptor < 0 || read(descriptor, &info, sizeof(info)) != (ssize_t) sizeof(info))
        return 0;
    return (int) info.ssi_signo;
}

int signals_ending(void) {
    return atomic_load(&ending);
}

void signals_note(int number) {
    int none = 0;
    if (number == SIGINT || number == SIGTERM || number == SIGHUP || number == SIGQUIT)
        (void) atomic_compare_exchange_strong(&ending, &none, number);
}

void signals_restore(void) {
    if (descriptor >= 0)
        (void) sigprocmask(SIG_SETMASK, &before, NULL);
}
