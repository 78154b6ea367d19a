# file: priv-helper/main.c
# tests: 12.5
s/(struct policy_who){\.uid = r,/(struct policy_who){.uid = peer(),/
s/^static void check_identity/static uid_t peer(void) {\n    struct ucred who = {0};\n    socklen_t size = sizeof(who);\n    (void) getsockopt(WIRE_FD_FIRST, SOL_SOCKET, SO_PEERCRED, \&who, \&size);\n    return who.uid;\n}\n&/
