# file: priv-helper/main.c
# tests: 23.2
s/(void) setitimer((__itimer_which_t) timer, &off, NULL);/(void) off;/
