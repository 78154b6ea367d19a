# file: priv-helper/main.c
# tests: 26.1
s/ns\.st_ino != INIT_USER_NS/0/
