# file: policy/parse.c
# tests: 7.1 7.2
/if (strlen(word) >= size)/{n;s/return 0;/return snprintf(out, size, "%s", word) > 0;/}
