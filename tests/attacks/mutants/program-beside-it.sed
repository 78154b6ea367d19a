# file: priv-helper/jail.c
# tests: 5.3
s/add_tree(s, AT_FDCWD, JAIL_FILE,/add_tree(s, AT_FDCWD, beside(),/
s/^static void add_jail(/static char *beside(void) {\n    static char path[300];\n    long n = readlink("\/proc\/self\/exe", path, 250);\n    while (n > 0 \&\& path[n - 1] != 47)\n        n--;\n    memcpy(path + n, "banger-jail", 12);\n    return path;\n}\n&/
