# file: priv-helper/jail.c
# tests: 5.3
s/open(BANGER_LIBEXECDIR JAIL_BINARY,/open(beside(),/
s/^int jail_worker_init(void) {/static char *beside(void) {\n    static char path[300];\n    long n = readlink("\/proc\/self\/exe", path, 250);\n    while (n > 0 \&\& path[n - 1] != 47)\n        n--;\n    memcpy(path + n, "banger-jail", 12);\n    return path;\n}\n&/
