# file: policy/parse.c
# tests: 8.14 9.4
s/return "no such keyword";/return NULL;/
