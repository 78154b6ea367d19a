# file: priv-helper/net.c
# tests: 18.1 31.3 31.4 31.6
s/r = attach(tap, job->reply);/(void) attach(tap, job->reply);/
