/* What the jail test's parts share: the account, its helper, one VM's descriptors. */
#ifndef BANGER_TESTS_JAIL_WORLD_H
#define BANGER_TESTS_JAIL_WORLD_H

#include "../../common/wire.h"

#include <sys/types.h>

/* The program runs as root and does what an engine does with the account as its
 * effective uid; root is for looking into /proc. */
struct world {
    uid_t uid;
    gid_t gid;
    const char *folder; /* the account's, on disk */
    const char *kernel, *initrd;
    pid_t helper;
    int kvm; /* guests run with it, from the trial on */
    int workers[WIRE_WORKERS];
};
extern struct world world;

struct vm {
    uint32_t slot;
    enum wire_style style;
    int fds[SPAWN_FDS];
    int cgroup; /* -1: none */
    int pidfd, pid;
};

void ok(const char *name);
void not_ok(const char *name, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* ok when `good`, else not_ok with the text. */
void check(int good, const char *name, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
void skip(const char *name, const char *why);
int summary(void);

void as_account(void);
void as_root(void);

void helper_start(void);
void helper_kill(void);
/* One request; the reply's descriptor or -1. -1 in verdict: the worker is gone. */
int ask(enum wire_worker worker, const struct wire_request *request, const int *fds, struct wire_reply *reply);

/* Makes the VM's files, sockets and tap. Ends the program when it cannot. */
void vm_prepare(struct vm *vm, uint32_t slot);
/* The same for a VMM that opens by name: no sockets, the tap persistent. */
void vm_prepare_named(struct vm *vm, uint32_t slot);
/* VMM_SPAWN of the policy's VMM number `kind`; closes the status descriptor afterwards. */
void vm_spawn(struct vm *vm, uint32_t kind, struct wire_reply *reply);
/* Kills what lives; vm_lock() and vm_spawn() may follow. */
void vm_kill(struct vm *vm);
/* A status descriptor for the next vm_spawn(), as vm_prepare() made the first. */
void vm_lock(struct vm *vm);
/* Kills what lives, takes the tap down, closes everything. */
void vm_end(struct vm *vm);
/* Waits for the end; the status file's wait status, or -1 (still alive, or no status). */
int vm_wait(const struct vm *vm, int timeout_ms);
/* The content of the VM's file ("console", "log"), NUL-terminated, static. */
const char *vm_read(const struct vm *vm, const char *name);
/* Each line of a probe's console is a result. */
void vm_results(const struct vm *vm);
/* 1 when `text` comes to be in the file within the time. */
int vm_shows(const struct vm *vm, const char *name, const char *text, int timeout_ms);
/* 1: somebody holds the status file's lock. */
int vm_locked(const struct vm *vm);
/* The first child of a process, or -1; and the one after `skip` others. */
pid_t child_of(pid_t pid);
pid_t child_after(pid_t pid, int skip);

/* jail_proc.c: what can be seen of a jail from outside. */
void check_jail(const struct vm *vm);

/* jail_named.c: a VMM in Firecracker's manner. */
void named(void);
/* jail_faults.c: a spawn in which one call fails, for each call. */
void faults(void);
/* jail_cgroup.c: starting in a cgroup of the account's own. */
void cgroups(void);
/* Where cgroup v2 is mounted, or NULL. */
const char *cgroup_mount(void);
/* A folder in it (the descriptor), or -1; and moves this process there. */
int cgroup_make(const char *path, uid_t owner, uid_t procs);
int cgroup_enter(const char *path);
/* jail_ceilings.c: what bangerd's monitor makes of it (unpriv/daemon/cgroup.c). */
void ceilings(void);

#endif
