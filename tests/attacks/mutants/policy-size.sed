# file: policy/load.c
# tests: 8.9
s/ || have > POLICY_BYTES_MAX//
