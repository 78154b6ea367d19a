/* Fuzzes what a guest says of its ports, and, by an input's first byte, a line of its /proc/net. */
#include "../guest/agent/agent.h"
#include "../unpriv/vm/guest_ports.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_line(const char *text) {
    for (int i = 0; i < 2; i++) {
        char address[INET6_ADDRSTRLEN] = "";
        unsigned port = 0;
        unsigned long inode = 0;
        if (agent_ports_line(text, i ? AF_INET6 : AF_INET, 10, &port, &inode, address) &&
            (port == 0 || port > UINT16_MAX || !address[0]))
            abort();
    }
}

static void check_answer(const char *text) {
    static struct guest_port ports[GUEST_PORTS_MAX];
    struct err e = {0};
    int count = guest_ports_parse(text, ports, &e);
    if (count > GUEST_PORTS_MAX || (count < 0) != (e.code != 0))
        abort();
    for (int i = 0; i < count; i++) {
        if (ports[i].port == 0 || !ports[i].program[0] || strlen(ports[i].program) >= GUEST_PORT_PROGRAM_MAX)
            abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char *text = malloc(size + 1);
    if (!text)
        return 0;
    if (size)
        memcpy(text, data, size);
    text[size] = '\0';
    if (size && data[0] == '#')
        check_line(text + 1);
    else
        check_answer(text);
    free(text);
    return 0;
}
