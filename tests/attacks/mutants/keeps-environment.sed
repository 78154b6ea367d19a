# file: priv-helper/main.c
# tests: 2.3
s/environment\[0\] = NULL;//
