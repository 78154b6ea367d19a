# file: priv-helper/link.c
# tests: 30.3
s/if (!error && (have\.ifr_flags & IFF_PERSIST))/if (0)/
