# file: priv-helper/jail.c
# tests: 11.6
s/((uint64_t) s->request->memory_mib/(s->request->memory_mib/
