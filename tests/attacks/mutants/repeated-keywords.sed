# file: policy/parse.c
# tests: 9.6
s/keywords\[k\]\.once &&/0 \&\&/
