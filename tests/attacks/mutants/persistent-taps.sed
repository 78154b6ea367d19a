# file: priv-helper/link.c
# tests: 28.6 32.3 32.4
s/^    if (!error)$/    if (!error \&\& !ioctl(*fd, TUNSETPERSIST, 1))/
