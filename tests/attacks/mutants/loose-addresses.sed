# file: policy/parse.c
# tests: 11.5
s/inet_pton(AF_INET, word, &address) != 1/!inet_aton(word, \&address)/
