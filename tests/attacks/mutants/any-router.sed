# file: priv-helper/ruleset.c
# tests: 12.13
s/{PORT_IPV6, {NET(R0, 40, 1), NOT(1, "\\x88"), DROP}},/{PORT_IPV6, {NET(R0, 40, 1), NOT(1, "\\x88"), ACCEPT}},/
