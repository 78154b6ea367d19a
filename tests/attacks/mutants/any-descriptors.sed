# file: priv-helper/worker.c
# tests: 10.8 10.9 10.10 10.11
s/ && fd_count == wire_request_fds(r)//
