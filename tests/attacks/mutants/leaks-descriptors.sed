# file: priv-helper/worker.c
# tests: 17.6
s/fdpass_close(fds, count);//
