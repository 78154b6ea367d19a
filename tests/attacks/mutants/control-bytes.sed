# file: policy/parse.c
# tests: 8.11
s/if ((unsigned char) text\[i\] < ' ' && text\[i\] != '\\t')/if (0)/
