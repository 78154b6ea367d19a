# file: priv-helper/net.c
# tests: 18.4
s/^#include "net\.h"/&\n#include <linux\/rtnetlink.h>/
s/        (void) rules(WIRE_NET_DOWN, job->request->slot);/&\n    struct ifinfomsg any = {0};\n    if (r) {\n        mnl_attr_put_strz(netlink_add(RTM_DELLINK, 0, 0, \&any, sizeof(any)), IFLA_IFNAME, tap);\n        (void) netlink_talk(NETLINK_LINKS, NULL, NULL);\n    }/
