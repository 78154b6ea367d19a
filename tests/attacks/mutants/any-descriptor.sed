# file: policy/policy.c
# tests: 14.1 20.4
s/if (!(kind & rule->kinds))/if (0)/
