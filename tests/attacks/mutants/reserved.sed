# file: priv-helper/worker.c
# tests: 10.3 10.4
s/!is_zero(r->reserved, sizeof(r->reserved)) ||/0 ||/
