# file: priv-helper/worker.c
# tests: 11.1
s/r->slot >= (uses & SLOT ? SLOT_MAX : 1) || //
