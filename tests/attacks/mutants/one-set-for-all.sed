# file: priv-helper/main.c
# tests: 25.3 25.4
s/cap_limit(worker->caps);/cap_limit(HELPER_CAPS);/
