# file: priv-helper/main.c
# tests: 26.6
s/^int main(/void *iconv_open(const char *, const char *);\n&/
s/die_if(argc != 1, "it takes/(void) iconv_open("UTF-16", "KOI8-R"); &/
