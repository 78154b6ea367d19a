# file: priv-helper/caps.c
# tests: 25.3 25.5
/^void cap_lower/,/^}/s/set_effective(0);//
