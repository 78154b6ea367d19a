# file: priv-helper/jail.c
# tests: 19.2 19.3
s/^    add_tree(s, s->fds\[SPAWN_JAIL\], "", "\/vm", MOUNT_ATTR_NOEXEC);/    add_tree(s, AT_FDCWD, "\/etc", "\/etc", MOUNT_ATTR_RDONLY);\n&/
