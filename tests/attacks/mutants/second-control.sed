# file: priv-helper/worker.c
# tests: 10.14
s/CMSG_NXTHDR(&message, &control\.first))/0)/
