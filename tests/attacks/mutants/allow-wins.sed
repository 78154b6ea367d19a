# file: policy/policy.c
# tests: 8.12
s/if (match && rule->deny)/if (match \&\& rule->deny \&\& answer != POLICY_ALLOWED)/
