# file: priv-helper/ruleset.c
# tests: 12.9
/NET(R0, 0, 6), IS(6,/s/IN_AND_SENDER(14), IN("guests"),//
s/NET(R4, 8, 6), IN("guests"), ACCEPT/ACCEPT/
