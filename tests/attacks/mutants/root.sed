# file: priv-helper/main.c
# tests: 12.1
s/die_if(r == 0,/die_if(0,/
