# file: priv-helper/link.c
# tests: 33.2 34.2
s/IFF_TAP | IFF_NO_PI | IFF_VNET_HDR/IFF_TAP | IFF_NO_PI | IFF_VNET_HDR | IFF_MULTI_QUEUE/
