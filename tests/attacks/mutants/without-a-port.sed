# file: priv-helper/net.c
# tests: 18.1 31.3 31.4 31.5 31.6 32.3 32.4
s/r = attach(tap, job->reply);/(void) attach(tap, job->reply);/
