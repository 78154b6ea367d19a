# file: policy/parse.c
# tests: 7.4
s/out\[0\] != '\/' ||/0 ||/
