# file: policy/policy.c
# tests: 34.3
s/ && request->op != WIRE_NET_DOWN && request->op != WIRE_SNAP_DOWN//
