# file: policy/parse.c
# tests: 7.4
s/return ended\[0\] == '\/' && /return /
