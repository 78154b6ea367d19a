# file: priv-helper/ruleset.c
# tests: 12.10
s/{PORT_IN, {DROP}},/{PORT_IN, {ACCEPT}},/
