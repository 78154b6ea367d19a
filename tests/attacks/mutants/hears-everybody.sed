# file: priv-helper/netlink.c
# tests: 31.2
s/r || connect(fd, (const struct sockaddr \*) &kernel, sizeof(kernel))/r || sizeof(kernel) == 0/
