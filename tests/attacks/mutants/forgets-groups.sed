# file: priv-helper/main.c
# tests: 12.6
s/die_if(n < 0, "cannot read the account.s groups");/if (n < 0) n = 0;/
