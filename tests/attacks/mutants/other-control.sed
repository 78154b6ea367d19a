# file: priv-helper/worker.c
# tests: 10.12
/cmsg_level != SOL_SOCKET/,/return -1/s/return -1/return n/
