# file: priv-helper/main.c
# tests: 1.3 1.4
s/die_if(argc != 1, "it takes no arguments");//
