# file: priv-helper/worker.c
# tests: 22.4
s/worker->idle ? worker->idle(0) : -1/50/
