# file: policy/policy.c
# tests: 9.7
s/rule->id == who->uid;/(uint16_t) rule->id == (uint16_t) who->uid;/
