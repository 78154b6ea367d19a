# file: priv-helper/ruleset.c
# tests: 12.13
s/{PORT_IPV6, {NET(R0, 6, 1), NOT(1, "\\x3a"), DROP}},/{PORT_IPV6, {NET(R0, 6, 1), NOT(1, "\\x3a"), ACCEPT}},/
