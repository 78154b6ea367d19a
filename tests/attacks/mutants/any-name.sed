# file: policy/parse.c
# tests: 7.1
s/ || strpbrk(name, "\/:")//
