# file: priv-helper/main.c
# tests: 3.3
s/die_if(setrlimit(RLIMIT_CORE, &none), "cannot forbid core files");/(void) none;/
