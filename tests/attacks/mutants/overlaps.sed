# file: policy/parse.c
# tests: 8.13
s/if (overlap(net\.net, .*/if (0)/
