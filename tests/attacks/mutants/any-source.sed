# file: priv-helper/ruleset.c
# tests: 12.7 12.8 14.2
s/ IN_AND_SENDER(12), IN("guests"), ACCEPT/ ACCEPT/
