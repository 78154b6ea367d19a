# file: policy/load.c
# tests: 8.4
s/O_RDONLY | O_NOFOLLOW/O_RDONLY/
