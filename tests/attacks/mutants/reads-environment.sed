# file: priv-helper/main.c
# tests: 2.1
s/environment\[0\] = NULL;/(void) environment;/
s/^int main(/char *getenv(const char *);\n&/
s/die_if(argc != 1, "it takes/(void) open(getenv("HOME") ? getenv("HOME") : "\/", O_RDONLY); &/
