# file: priv-helper/main.c
# tests: 2.1
s/environment\[0\] = NULL;//
s/die_if(argc != 1, "it takes/(void) open(getenv("TZDIR") ? getenv("TZDIR") : "\/", O_RDONLY); extern char *getenv(const char *); &/
s/^int main(/char *getenv(const char *);\n&/
