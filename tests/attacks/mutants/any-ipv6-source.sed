# file: priv-helper/ruleset.c
# tests: 12.12
s/ OURS(8), IN_AND_SENDER(20), IN("guests6"), GOTO/ GOTO/
