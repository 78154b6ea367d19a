# file: priv-helper/main.c
# tests: 16.1
s/(void) umask(077);/& (void) open("\/tmp\/banger.state", O_CREAT | O_RDWR, 0600);/
