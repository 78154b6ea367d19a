# file: priv-helper/main.c
# tests: 2.2
s/environment\[0\] = NULL;/static char copy[64]; (void) strcpy(copy, environment[0] ? environment[0] : "");/
