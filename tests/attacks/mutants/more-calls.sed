# file: priv-helper/net.c
# tests: 28.2
s/^static const int list\[\] = {/&SYS_dup, SYS_dup2, SYS_getpid, SYS_gettid, SYS_getuid, SYS_uname, SYS_times, SYS_time,/
