/* Fuzzes the kernel's answers about links, routes and netconf as the net worker reads
 * them. First byte: who reads; the rest: one received buffer. */
#include "../priv-helper/link.c" /* its readers are static */

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static _Alignas(struct nlmsghdr) char buffer[65536];
    struct found f = {0};
    struct net_slots slots = {.uid = 1000};
    int on = 0, index = 0;
    const struct {
        netlink_each *each;
        void *arg;
    } readers[] = {{on_link, &f}, {on_tap, &slots}, {on_netconf, &on}, {on_route, &index}, {NULL, NULL}};
    if (size < 1 || size - 1 > sizeof(buffer))
        return 0;
    const size_t which = data[0] % (sizeof(readers) / sizeof(readers[0]));
    struct netlink_exchange x = {
        .last = UINT32_MAX, .final = data[0] >> 4, .each = readers[which].each, .arg = readers[which].arg};
    /* The end of the memory, so that a byte too far is seen. */
    char *bytes = buffer + ((sizeof(buffer) - (size - 1)) & ~(size_t) 3);
    memcpy(bytes, data + 1, size - 1);
    int r = netlink_parse(bytes, size - 1, &x);
    if ((r != 0 && r != -EBADMSG) || x.error > 0 || x.error < -4095)
        abort();
    if (memchr(f.name, '\0', sizeof(f.name)) == NULL && f.index == 0 && f.name[0])
        abort();
    if (on != 0 && on != 1)
        abort();
    return 0;
}
