# file: priv-helper/audit.c
# tests: 21.1
s/^    struct audit_log log = .*socket(AF_UNIX.*$/&\n    (void) bind(log.syslog, (const struct sockaddr *) \&(struct sockaddr_un){.sun_family = AF_UNIX}, sizeof(sa_family_t));/
