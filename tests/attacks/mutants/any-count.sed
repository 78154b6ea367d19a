# file: priv-helper/worker.c
# tests: 11.2
s/r->cidr_count > most || //
