#include "ipv6.h"

#include "file.h"

#define CONF "/proc/sys/net/ipv6/conf/"

/* A switch of the kernel's; -1 where it has none. */
static int read_switch(const char *path) {
    struct err ignored;
    char text[8] = "";
    return file_read(path, text, sizeof(text), &ignored) > 0 ? text[0] == '1' : -1;
}

enum ipv6_reach ipv6_reach(void) {
    if (read_switch(CONF "default/disable_ipv6") != 0)
        return IPV6_OFF;
    return read_switch(CONF "all/forwarding") == 1 ? IPV6_BEYOND : IPV6_HERE;
}
