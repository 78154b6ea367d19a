# file: priv-helper/main.c
# tests: 17.1
s/#define FILES_LEAST  32ul/#define FILES_LEAST 0ul/
