# file: policy/policy.c
# tests: 4.1 34.4
s/request->memory_mib > policy->memory_max || //
