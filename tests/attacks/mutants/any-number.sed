# file: policy/parse.c
# tests: 11.3
s/size == 0 || size > 10 || (size > 1 && word\[0\] == '0') || strspn(word, \"0123456789\") < size/size == 0/
