# file: priv-helper/worker.c
# tests: 22.1
s/#define REPLY_DEADLINE_MS 5000/#define REPLY_DEADLINE_MS 60000/
