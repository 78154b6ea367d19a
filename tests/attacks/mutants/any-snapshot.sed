# file: policy/policy.c
# tests: 20.6
s/ || fds\[i\]\.st\.st_uid != who->uid)/)/
