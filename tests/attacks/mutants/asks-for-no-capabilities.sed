# file: priv-helper/main.c
# tests: 3.4 5.1 5.5 26.2 26.3 25.1
s/if (!cap_permitted_is(HELPER_CAPS))/if (0)/
