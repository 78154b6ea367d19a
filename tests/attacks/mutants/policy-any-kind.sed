# file: policy/load.c
# tests: 8.3 8.5
s/S_ISREG(file->seen\.st_mode) && //
s/if (n < 0 || have/if (have/
