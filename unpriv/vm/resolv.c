#include "internal.h"

#include "../../common/cleanup.h"
#include "../../common/io.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <string.h>

#define RESOLV_SIZE 8192

/* The address of a "nameserver ADDRESS" line (resolv.conf(5)), or 0. */
static uint32_t line_address(const char *line) {
    static const char word[] = "nameserver";
    char text[INET_ADDRSTRLEN];
    struct in_addr address;
    if (strncmp(line, word, sizeof(word) - 1) != 0)
        return 0;
    line += sizeof(word) - 1;
    size_t space = strspn(line, " \t");
    size_t length = strcspn(line + space, " \t\r\n");
    if (space == 0 || length >= sizeof(text))
        return 0;
    memcpy(text, line + space, length);
    text[length] = 0;
    if (inet_pton(AF_INET, text, &address) != 1)
        return 0;
    uint32_t number = ntohl(address.s_addr);
    return number >> 24 == 127 ? 0 : number;
}

uint32_t vm_resolv_parse(const char *text) {
    for (const char *line = text; line; line = strchr(line, '\n')) {
        line += *line == '\n';
        uint32_t address = line_address(line);
        if (address)
            return address;
    }
    return 0;
}

uint32_t vm_resolv_read(void) {
    char text[RESOLV_SIZE];
    cleanup_fd int fd = open("/etc/resolv.conf", O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return 0;
    ssize_t n = io_read_some(fd, text, sizeof(text) - 1);
    if (n < 0)
        return 0;
    text[n] = 0;
    return vm_resolv_parse(text);
}
