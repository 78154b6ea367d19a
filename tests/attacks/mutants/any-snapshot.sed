# file: policy/policy.c
# tests: 20.6
s/ || fds\[i\]\.uid != who->uid)/)/
