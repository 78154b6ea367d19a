# file: priv-helper/worker.c
# tests: 17.6
s/(void) close(fds\[i\]);/;/
