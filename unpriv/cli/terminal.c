#include "terminal.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

static struct termios before;
static int raw;

int terminal_raw(void) {
    static int registered;
    if (raw)
        return 0;
    if (tcgetattr(STDIN_FILENO, &before) < 0)
        return -errno;
    if (!registered)
        registered = atexit(terminal_restore) == 0;
    struct termios mode = before;
    cfmakeraw(&mode);
    if (tcsetattr(STDIN_FILENO, TCSADRAIN, &mode) < 0)
        return -errno;
    raw = 1;
    return 0;
}

void terminal_restore(void) {
    if (raw)
        (void) tcsetattr(STDIN_FILENO, TCSADRAIN, &before);
    raw = 0;
}

void terminal_suspend(void) {
    int was = raw;
    terminal_restore();
    (void) kill(getpid(), SIGSTOP);
    if (was)
        (void) terminal_raw();
}

void terminal_size(uint16_t *rows, uint16_t *cols) {
    struct winsize size = {0};
    if (ioctl(STDIN_FILENO, TIOCGWINSZ, &size) < 0)
        (void) ioctl(STDOUT_FILENO, TIOCGWINSZ, &size);
    *rows = size.ws_row ? size.ws_row : 24;
    *cols = size.ws_col ? size.ws_col : 80;
}
