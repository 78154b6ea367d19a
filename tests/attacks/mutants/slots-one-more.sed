# file: policy/policy.c
# tests: 34.1
s/request->slot >= policy->slots/request->slot > policy->slots/
