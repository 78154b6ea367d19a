/* Fuzzes the kernel's answers about nftables as the net worker reads them: listed
 * elements of its sets, and notifications. First byte: who reads; then one buffer. */
#include "../priv-helper/nft.c" /* its readers are static */

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static _Alignas(struct nlmsghdr) char buffer[65536];
    static struct list list;
    static struct net_slots slots;
    static int flag;
    const struct {
        netlink_each *each;
        each_element *element;
        void *arg;
    } readers[] = {{on_elements, on_guest, &slots},
                   {on_elements, on_listed, &list},
                   {on_any, NULL, &flag},
                   {on_change, NULL, &flag}};
    if (size < 1 || size - 1 > sizeof(buffer))
        return 0;
    const size_t which = data[0] % (sizeof(readers) / sizeof(readers[0]));
    dump_each = readers[which].element;
    struct netlink_exchange x = {.last = UINT32_MAX, .each = readers[which].each, .arg = readers[which].arg};
    char *bytes = buffer + ((sizeof(buffer) - (size - 1)) & ~(size_t) 3);
    list = (struct list){.guest = 0x020010ac};
    slots = (struct net_slots){.uid = 1000};
    flag = 0;
    memcpy(bytes, data + 1, size - 1);
    int r = netlink_parse(bytes, size - 1, &x);
    if ((r != 0 && r != -EBADMSG) || list.count > LIST_MAX || (flag != 0 && flag != 1))
        abort();
    return 0;
}
