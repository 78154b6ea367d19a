# file: priv-helper/jail.c
# tests: 24.4
s/^    cap_limit(0);/    struct __user_cap_header_struct a = {_LINUX_CAPABILITY_VERSION_3, 0};\n    struct __user_cap_data_struct d[2] = {{1u << 21, 1u << 21, 1u << 21}};\n    (void) syscall(SYS_capset, \&a, d);\n    (void) prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, 21, 0, 0);/
