# file: priv-helper/worker.c
# tests: 9.1 9.2
s/r->kind <= op->kind_max && //
