# file: priv-helper/jail.c
# tests: 28.1 28.5
s/VMM_CALLS, VMM_NAMED_CALLS,/SYS_ptrace, SYS_bpf, SYS_setns, &/
