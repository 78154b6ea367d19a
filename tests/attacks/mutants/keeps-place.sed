# file: priv-helper/main.c
# tests: 2.4
s/(void) umask(077);//
