# file: policy/policy.c
# tests: 34.4
s/request->memory_mib > policy->memory_max/request->memory_mib >= policy->memory_max/
