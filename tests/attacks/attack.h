/* The attacks on the installed helper (section 5 of the list in docs/privileges.md's
 * sources): each is a row of a table, run in a process of its own. Numbers in names:
 * the line of that list, and a number within it. */
#ifndef BANGER_TESTS_ATTACK_H
#define BANGER_TESTS_ATTACK_H

#include "../../policy/policy.h"
#include "../netns/lab.h"

#include <sys/types.h>

#define ALICE LAB_UID
#define BOB   (LAB_UID + 1)
#define VMM   "/usr/local/libexec/banger/attack-vmm"
/* What most attacks run under; lines can be added. VMM 0 is vmm.c. */
#define ALLOW  "allow gid 61999\n"
#define RULES  "pool 172.16.0.0/12 61000\nslots 4\nnat yes\nuplink default\nmemory-max 512\nvcpus-max 4\n"
#define VMMS   "vmm probe " VMM "\n"
#define POLICY ALLOW RULES VMMS

struct attack {
    const char *name; /* "LINE.NUMBER what is tried" */
    void (*run)(void);
};
/* Each ends with a row of NULL. */
extern const struct attack argv_attacks[], start_attacks[], process_attacks[], wire_attacks[], control_attacks[],
    policy_attacks[], words_attacks[], rights_attacks[], peer_attacks[], filter_attacks[], race_attacks[],
    name_attacks[], guest_attacks[], jail_attacks[];

/* --- results: the attack fails when one expectation does ------------------------- */
void expect(int good, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Ends the attack: as failed, or as not possible here. */
void give_up(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));
void skip(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));

/* --- the helper -------------------------------------------------------------------- */
struct lab_helper start(uid_t uid);
/* Started, and every worker has answered. */
struct lab_helper start_ready(uid_t uid);
/* Makes sure that each of its workers answers. */
void ready(struct lab_helper *h);
/* The parent's children: the workers in wire order. */
void workers_of(const struct lab_helper *h, pid_t workers[WIRE_WORKERS]);
int socket_of(const struct lab_helper *h, enum wire_worker worker);
struct wire_request request(enum wire_op op, uint32_t slot, uint32_t kind);
/* One request: 0, or negative where no whole reply came. `fd` may be NULL. */
int exchange(struct lab_helper *h, enum wire_worker worker, const struct wire_request *rq, const int *fds, size_t count,
             struct wire_reply *reply, int *fd);
/* verdict * 1000 + (DENIED: reason, FAILED: errno); GONE where the worker went. */
int ask(struct lab_helper *h, enum wire_worker worker, const struct wire_request *rq, const int *fds, size_t count);
int ask_net(struct lab_helper *h, enum wire_op op, uint32_t slot, uint32_t kind);
#define GONE           (-1)
#define DENIED(reason) (WIRE_DENIED * 1000 + (reason))
#define FAILED(error)  (WIRE_FAILED * 1000 + (error))
/* Waits for the helper's end: 1 when it ended (itself, its parent included) and said `text`. */
int ends_saying(struct lab_helper *h, const char *text);
#define MALFORMED "a malformed request"
/* Started by `prepare` in a strange state: 1 when it ended and said `text`. */
int refuses(const char *path, uid_t uid, void (*prepare)(void), const char *text);
/* Started by `prepare` in a strange state: 1 when it serves. */
int serves(uid_t uid, void (*prepare)(void));
uint64_t slots_of(struct lab_helper *h);
/* Ends what is left and takes the slots down, by a fresh helper. */
void clean(uid_t uid);

/* --- looking ------------------------------------------------------------------------ */
/* Runs `function` as an account without groups in a process of its own; its result (0..100). */
int as_account(uid_t uid, int (*function)(void *), void *arg);
void become(uid_t uid); /* effective ids only */
void become_root(void);
/* A file's content, static; "" when it cannot be read. */
const char *content(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* A field of /proc/PID/status, as a hexadecimal or decimal number. */
unsigned long long status_hex(pid_t pid, const char *field);
long status_number(pid_t pid, const char *field);
size_t count_fds(pid_t pid);
/* The kernel's names of (uid, slot). */
const char *tap(uid_t uid, uint32_t slot);
const char *bridge(uid_t uid);
int interface_exists(const char *name);
/* What takes `ms` at most on a fast machine, in milliseconds of this one: ATTACK_SLOW=N says
 * that it is N times slower (a guest under emulation). All waits below are in fast ones. */
int patience(int ms);
/* Until `name` is gone: 1, or 0 after two seconds. */
int interface_goes(const char *name);
/* Until there is something to read: 1, or 0. */
int readable(int fd, int timeout_ms);
/* 1 when the other end of a pipe or socket is closed by all within the time. */
int is_closed(int fd, int timeout_ms);
int is_running(pid_t pid);

/* --- VMM_SPAWN ------------------------------------------------------------------------ */
/* A folder of the world's on disk: $ATTACK_FOLDER. */
const char *scratch(const char *name);
struct machine {
    int fds[SPAWN_ROLES];
    int pidfd;
    pid_t pid;
};
/* Everything a VM takes, the account's own. The tap by NET_UP of `h`. */
struct machine machine(struct lab_helper *h, uid_t uid, uint32_t slot);
/* VMM_SPAWN of vmm.c: as ask(). */
int spawn(struct lab_helper *h, struct machine *m, uint32_t slot);
/* What vmm.c wrote on its console until it was done (two seconds). */
const char *machine_says(const struct machine *m);
void machine_end(struct machine *m);

#endif
