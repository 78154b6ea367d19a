# file: priv-helper/main.c
# tests: 21.2 33.1 33.2 33.3
s/^int main(/int flock(int, int);\n&/
s/(void) umask(077);/& (void) flock(open("\/etc\/banger", O_RDONLY), 2);/
