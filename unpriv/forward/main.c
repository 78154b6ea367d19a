#include "internal.h"

#include "../../common/log.h"

#include <signal.h>
#include <string.h>

int main(void) {
    (void) signal(SIGPIPE, SIG_IGN);
    int r = forward_loop();
    if (r)
        log_error(0, "banger-forward cannot start: %s", strerror(-r));
    return r != 0;
}
