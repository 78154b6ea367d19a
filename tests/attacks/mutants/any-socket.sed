# file: priv-helper/main.c
# tests: 20.7 20.8 20.9 20.10 20.11
s/helper_socket_option(fd, SO_DOMAIN) != AF_UNIX || helper_socket_option(fd, SO_TYPE) != SOCK_SEQPACKET ||/0 ||/
