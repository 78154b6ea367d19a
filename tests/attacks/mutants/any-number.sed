# file: policy/parse.c
# tests: 11.3
s/w\.size == 0 || w\.size > 10 || (w\.size > 1 && w\.text\[0\] == '0')/w.size == 0/
