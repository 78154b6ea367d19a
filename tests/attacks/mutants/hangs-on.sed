# file: priv-helper/worker.c
# tests: 20.12
s/if (wait\[0\]\.revents || wait\[1\]\.revents)/if (wait[1].revents)/
