# file: priv-helper/main.c
# tests: 5.2 12.2
s/r != e || e != s || rg != eg || eg != sg/0/
