# file: priv-helper/main.c
# tests: 12.1
s/r == 0 || r == (uid_t) -1/0/
