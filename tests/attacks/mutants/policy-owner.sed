# file: policy/load.c
# tests: 8.7 8.8
s/st->st_uid != 0 || //
