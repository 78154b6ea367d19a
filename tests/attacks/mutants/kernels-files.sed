# file: policy/policy.c
# tests: 14.1
s/S_ISREG(fd->st\.st_mode) && lies_on(.*))$/S_ISREG(fd->st.st_mode))/
