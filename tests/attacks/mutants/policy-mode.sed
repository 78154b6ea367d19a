# file: policy/load.c
# tests: 8.6 8.8
s/ || (st->st_mode & (S_IWGRP | S_IWOTH))//
