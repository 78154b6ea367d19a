# file: priv-helper/ruleset.c
# tests: 12.11
s/{INPUT, {FROM_BRIDGE, DROP}},//
