# file: priv-helper/net.c
# tests: 30.4
s/r = rules(WIRE_NET_UP, job->request->slot);/(void) rules(WIRE_NET_UP, job->request->slot);/
