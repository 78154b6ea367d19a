# file: priv-helper/main.c
# tests: 1.6 20.7 20.8 20.9 20.10 20.11
s/helper_socket_option(fd, SO_DOMAIN) != AF_UNIX || helper_socket_option(fd, SO_TYPE) != SOCK_SEQPACKET ||/0 ||/
s/fcntl(fd, F_SETFD, FD_CLOEXEC) || fcntl(fd, F_SETFL, 0),/(fcntl(fd, F_SETFD, FD_CLOEXEC) \&\& 0),/
