# file: priv-helper/jail.c
# tests: 19.3
s/struct mount_attr attr = {\.attr_set = MOUNT_ATTR_RDONLY};/struct mount_attr attr = {.attr_set = MOUNT_ATTR_NODIRATIME};/
