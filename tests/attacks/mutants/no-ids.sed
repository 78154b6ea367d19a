# file: priv-helper/worker.c
# tests: 10.6 29.1
s/reply\.op_id = in\.request\.op_id;//
