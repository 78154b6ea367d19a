# file: policy/parse.c
# tests: 8.10
s/if ((unsigned char) text\[i\] < ' ' && text\[i\] != '\\t')/if (0)/
s/" \\t", &rest)/" \\t\\r", \&rest)/g
