# file: priv-helper/audit.c
# tests: 27.2
s/MSG_DONTWAIT | MSG_NOSIGNAL, (const/MSG_NOSIGNAL, (const/
