# file: priv-helper/net.c
# tests: 18.1 31.3 31.6
s/r = attach(tap, with_ipv6, job->reply);/(void) attach(tap, with_ipv6, job->reply);/
