# file: priv-helper/net.c
# tests: 1.5 28.1 28.4
s/^static const int list\[\] = {/&SYS_execve, SYS_ptrace, SYS_socket,/
