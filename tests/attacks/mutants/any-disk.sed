# file: policy/policy.c
# tests: 34.4
s/fds\[i\]\.size > (uint64_t) policy->disk_max << 20/0/
