# file: common/fdpass.c
# tests: 10.8
s/if (bad || have > max || (msg\.msg_flags & (MSG_TRUNC | MSG_CTRUNC)))/if (bad)/
