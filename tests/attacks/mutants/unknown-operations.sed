# file: priv-helper/worker.c
# tests: 6.1
s/r->op >= OPERATIONS)/0)/
