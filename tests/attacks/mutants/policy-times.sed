# file: policy/load.c
# tests: 8.15
s/st_ctim/st_mtim/g
