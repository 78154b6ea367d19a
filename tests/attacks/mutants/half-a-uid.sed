# file: common/addr.h
# tests: 12.4 29.2
s/"bgr%08x", uid)/"bgr%08x", uid \& 0xffff)/
