# file: priv-helper/main.c
# tests: 24.1 24.2 24.3
s/die_if(setsid() < 0, .*$//
