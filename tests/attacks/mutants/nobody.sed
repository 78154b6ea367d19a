# file: policy/policy.c
# tests: 12.3
s/who->uid == 65534 || //
