# file: priv-helper/worker.c
# tests: 23.4 20.13
s/if (wait\[0\]\.revents || wait\[1\]\.revents)/if (wait[0].revents)/
