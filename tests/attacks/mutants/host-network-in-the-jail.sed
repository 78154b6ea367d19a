# file: priv-helper/jail.c
# tests: 26.7
s/? 0 : CLONE_NEWNET;/? 0 : 0;/
