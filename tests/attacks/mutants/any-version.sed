# file: priv-helper/worker.c
# tests: 10.2 35.1
s/r->version != WIRE_VERSION || //
