# file: policy/policy.c
# tests: 4.4
s/return POLICY_NO_NAT;/;/
