# file: priv-helper/jail.c
# tests: 19.3
s/attributes | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV/attributes | MOUNT_ATTR_NODEV/
