# file: policy/policy.c
# tests: 4.1 34.4
s/request->vcpus > policy->vcpus_max || //
