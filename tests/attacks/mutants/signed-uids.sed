# file: policy/policy.c
# tests: 12.4
s/if (uid >= net->uid && uid - net->uid < net->count)/if ((int) uid - (int) net->uid < (int) net->count)/
