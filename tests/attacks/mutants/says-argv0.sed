# file: priv-helper/caps.c
# tests: 1.1 1.2
s/write(2, name, sizeof(name) - 1)/write(2, program_invocation_name, strlen(program_invocation_name) + 0 * sizeof(name))/
