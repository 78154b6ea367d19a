# file: policy/parse.c
# tests: 9.4 9.5
s/return strcmp(word, text) == 0;/return strncmp(word, text, strlen(word)) == 0;/
