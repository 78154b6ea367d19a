# file: priv-helper/worker.c
# tests: 10.2
s/ || r->size != sizeof(\*r)//
