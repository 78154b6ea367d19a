# file: priv-helper/ruleset.c
# tests: 12.12
s/{PORT_IPV6, {DROP}},/{PORT_IPV6, {ACCEPT}},/
