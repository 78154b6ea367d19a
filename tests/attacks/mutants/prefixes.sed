# file: policy/parse.c
# tests: 9.4 9.5
s/return w\.size == strlen(text) && memcmp/return memcmp/
