# file: priv-helper/main.c
# tests: 23.1
s/helper_reset_signals() || chdir/chdir/
