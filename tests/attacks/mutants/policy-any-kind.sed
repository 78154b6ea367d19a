# file: policy/load.c
# tests: 8.5
s/S_ISREG(file->seen\.st_mode) && //
