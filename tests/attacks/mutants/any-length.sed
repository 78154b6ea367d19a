# file: priv-helper/worker.c
# tests: 10.1
s/size != sizeof(\*r) || //
