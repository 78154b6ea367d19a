# file: policy/policy.c
# tests: 8.2 9.7 12.5
s/answer = POLICY_NOT_LISTED;/answer = POLICY_ALLOWED;/
