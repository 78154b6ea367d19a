# file: priv-helper/worker.c
# tests: 6.2
s/op->worker == worker && //
