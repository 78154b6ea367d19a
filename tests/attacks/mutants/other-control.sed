# file: common/fdpass.c
# tests: 10.12
s/bad = 1;/bad = 0;/
