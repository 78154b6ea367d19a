# file: policy/load.c
# tests: 19.1
s/O_DIRECTORY | O_NOFOLLOW/O_DIRECTORY/
s/ && !others_can_write(&st))/)/
