# file: priv-helper/jail.c
# tests: 24.4
s/^    cap_limit(0);/    cap_limit(CAP_BIT(CAP_SYS_ADMIN)); (void) prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0);/
s/(void) setsid();//
