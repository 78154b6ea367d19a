# file: policy/policy.c
# tests: 20.3 20.6
s/return rule->access < 0 || (fd->flags & O_ACCMODE) == rule->access;/return 1;/
