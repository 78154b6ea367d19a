# file: policy/parse.c
# tests: 7.1 7.2
/if (w\.size >= size)/{n;s/return 0;/w.size = size - 1;/}
