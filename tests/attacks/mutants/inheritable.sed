# file: priv-helper/caps.c
# tests: 25.2 25.3
s/{\.low\.permitted = permitted};/{.low.permitted = permitted, .low.inheritable = permitted};/
