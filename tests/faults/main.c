/* Each operation of the helper with each of its system calls failed by each errno the
 * call documents, and with its process killed at each call. Afterwards nothing may be
 * left in the kernel, and a new helper must work.
 *
 * Usage: faults UID GID BANGER-GID FOLDER [OPERATION...]   (root, in tests/world.sh)
 *        faults --list */
#include "faults.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static int passed, failed_count, skipped;
static const char *const role_names[ROLES] = {"parent", "net worker", "disk worker", "vmm worker", "vmm's child"};

/* A process of the account, or 0. */
static int process_of_account(void) {
    struct dirent *d;
    struct stat st;
    char path[300];
    int found = 0;
    DIR *proc = opendir("/proc");
    while (proc && (d = readdir(proc))) {
        (void) snprintf(path, sizeof(path), "/proc/%s", d->d_name);
        int pid = atoi(d->d_name);
        if (pid > 0 && stat(path, &st) == 0 && st.st_uid == account.uid)
            found = pid;
    }
    if (proc)
        (void) closedir(proc);
    return found;
}

/* What has just ended may still be there for a moment. */
static int process_left(void) {
    int found = 0;
    for (int try = 0; try < 100; try++) {
        while (waitpid(-1, NULL, WNOHANG) > 0)
            continue;
        found = process_of_account();
        if (!found)
            return 0;
        (void) usleep(20000);
    }
    return found;
}

static int mounts(void) {
    int lines = 0, c;
    FILE *f = fopen("/proc/self/mountinfo", "re");
    while (f && (c = fgetc(f)) != EOF)
        lines += c == '\n';
    if (f)
        (void) fclose(f);
    return lines;
}

/* Sites, not calls: for make coverage, see try_sites(). */
static int is_cover(void) {
    return getenv("FAULTS_COVER") != NULL;
}

static void say_bad(const struct operation *op, const struct fault *fault, int number, const char *why) {
    static const char *const results[RESULTS] = {[ERROR] = "fails with",
                                                 [ZERO] = "gives 0",
                                                 [ANSWER_SHORT] = "too short",
                                                 [ANSWER_LONG] = "too long",
                                                 [ANSWER_NOOP] = "of no type",
                                                 [ANSWER_ERROR] = "answers",
                                                 [ANSWER_POSITIVE] = "error 1",
                                                 [ANSWER_CUT] = "an error without number",
                                                 [ANSWER_OTHER] = "of another type",
                                                 [ANSWER_DONE] = "the end",
                                                 [ANSWER_CHANGED] = "changed",
                                                 [ANSWER_BARE] = "without body",
                                                 [ANSWER_HUGE] = "gives 1 MiB"};
    if (fault->result == KILLED)
        printf("not ok %s: the %s killed before its call %d, %s: %s\n", op->name, role_names[fault->role], fault->index,
               call_name(number), why);
    else
        printf("not ok %s: %s of the %s (its call %d) %s %s: %s\n", op->name, call_name(number),
               role_names[fault->role], fault->index, results[fault->result],
               fault->error && fault->error < 5000 ? strerrorname_np(fault->error) : "", why);
}

/* One fault: 1 good, 0 bad (said), -1 not reached. */
static int try(const struct operation *op, const struct fault *fault, int number) {
    static int mounts_before;
    char why[200] = "";
    mounts_before = mounts_before ? mounts_before : mounts();
    enum outcome outcome = trace_run(op, fault, NULL, why);
    int left = process_left();
    if (outcome != BAD && left) {
        (void) snprintf(why, sizeof(why), "process %d of the account is left", left);
        outcome = BAD;
    }
    if (outcome != BAD && mounts() != mounts_before) {
        (void) snprintf(why, sizeof(why), "a mount is left");
        outcome = BAD;
    }
    char after[200] = "";
    int clean = is_cover() && op->worker != WIRE_DISK && !interface_left();
    if (!clean && mend(after)) {
        (void) snprintf(why, sizeof(why), "%.190s", after);
        outcome = BAD;
    }
    if (outcome != BAD)
        return outcome == FINE ? 1 : -1;
    say_bad(op, fault, number, why);
    return 0;
}

struct tally {
    int errors, kills, bad, unreached;
};

static void count(struct tally *t, int result, int *kind) {
    (*kind)++;
    t->bad += result == 0;
    t->unreached += result < 0;
}

/* FAULTS_EVERY=N: of all faults each Nth, from a place that is another every day. */
static int is_turn(void) {
    static long every, turn;
    if (every == 0) {
        const char *text = getenv("FAULTS_EVERY");
        every = text && atol(text) > 0 ? atol(text) : 1;
        turn = time(NULL) / 86400;
    }
    return turn++ % every == 0;
}

/* Every fault of one process's calls. */
static void try_role(const struct operation *op, enum role role, const struct calls *calls, struct tally *t) {
    for (int i = 0; i < calls->count[role]; i++) {
        const int number = calls->numbers[role][i];
        const struct fault killed = {role, i, KILLED, 0, 0};
        if (is_turn())
            count(t, try(op, &killed, number), &t->kills);
        for (const int *error = errnos_of(number); error && *error; error++) {
            const struct fault fault = {role, i, ERROR, *error, 0};
            if (is_turn())
                count(t, try(op, &fault, number), &t->errors);
        }
        if (isatty(2))
            fprintf(stderr, "\r%s: %s, call %d of %d \033[K\r", op->name, role_names[role], i + 1, calls->count[role]);
    }
}

#define SITES_MAX 20000
/* Whether this place of the helper's was not seen before. */
static int is_new(uint64_t site) {
    static uint64_t seen[SITES_MAX];
    static size_t count;
    for (size_t i = 0; i < count; i++) {
        if (seen[i] == site)
            return 0;
    }
    if (count == SITES_MAX)
        return 0;
    seen[count++] = site;
    return 1;
}

/* Nothing read or written, or nothing to wait for: of a call that was said to have changed
 * something the helper would act in the world outside. */
static int may_give_nothing(int number) {
    static const int calls[] = {SYS_read, SYS_recvfrom, SYS_recvmsg, SYS_pread64, SYS_poll, SYS_write, SYS_sendto};
    for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
        if (calls[i] == number)
            return 1;
    }
    return 0;
}

static void try_result(const struct operation *op, struct fault fault, enum result result, int error, int number,
                       struct tally *t) {
    fault.result = result;
    fault.error = error;
    count(t, try(op, &fault, number), &t->errors);
}

static void try_answers(const struct operation *op, struct fault fault, struct tally *t) {
    static const int errors[] = {EPERM, ENOENT, EEXIST, 5000 /* none of the kernel's */};
    for (enum result result = ANSWER_SHORT; result < RESULTS; result++) {
        if (result != ANSWER_ERROR)
            try_result(op, fault, result, 0, SYS_recvfrom, t);
    }
    for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++)
        try_result(op, fault, ANSWER_ERROR, errors[i], SYS_recvfrom, t);
}

/* Each call that no earlier one was made like, by as many results as code could tell apart:
 * to reach every branch, not every state. */
static void try_sites(const struct operation *op, enum role role, const struct calls *calls, struct tally *t) {
    for (int i = 0; i < calls->count[role]; i++) {
        const int number = calls->numbers[role][i], *errors = errnos_of(number);
        const uint64_t salt = op->other && role != PARENT ? (uint64_t) (op - operations) << 48 : 0;
        if (!errors || !is_new(calls->sites[role][i] ^ salt))
            continue;
        const struct fault fault = {.role = role, .index = i, .result = ERROR, .site = calls->sites[role][i]};
        for (const int *error = errors; *error; error++) {
            if (error == errors || is_told_apart(*error))
                try_result(op, fault, ERROR, *error, number, t);
        }
        if (may_give_nothing(number))
            try_result(op, fault, ZERO, 0, number, t);
        if (role == NET && number == SYS_recvfrom)
            try_answers(op, fault, t);
    }
}

/* What the others do in an operation they do in every one: once is enough. */
static int concerned(const struct operation *op, enum role role) {
    return op->from_exec || op == &operations[1] || role == (enum role)(NET + op->worker) || role == CHILD;
}

static void try_operation(const struct operation *op) {
    static struct calls calls;
    char why[200] = "";
    struct tally t = {0};
    memset(&calls, 0, sizeof(calls));
    enum outcome outcome = trace_run(op, NULL, &calls, why);
    if (outcome == NOT_REACHED) {
        printf("SKIP %s: it cannot be had here (no device-mapper in this kernel)\n", op->name);
        skipped++;
        (void) mend(why);
        return;
    }
    if (outcome == BAD || mend(why)) {
        printf("not ok %s: without any fault: %s\n", op->name, why);
        failed_count++;
        return;
    }
    for (int role = 0; role < ROLES; role++) {
        if (concerned(op, (enum role) role))
            (is_cover() ? try_sites : try_role)(op, (enum role) role, &calls, &t);
    }
    printf(
        "%s %s: %d errors and %d kills at the %d+%d+%d+%d+%d calls of parent, net, disk, vmm and child; %d bad, %d not "
        "reached\n",
        t.bad ? "not ok" : "ok", op->name, t.errors, t.kills, calls.count[PARENT], calls.count[NET], calls.count[DISK],
        calls.count[VMM], calls.count[CHILD], t.bad, t.unreached);
    (void) fflush(stdout);
    if (t.bad)
        failed_count++;
    else
        passed++;
}

static int wanted(const char *name, char **names) {
    if (!*names)
        return 1;
    for (; *names; names++) {
        if (strcmp(*names, name) == 0)
            return 1;
    }
    return 0;
}

int main(int argc, char **argv) {
    if (argc == 2 && strcmp(argv[1], "--list") == 0) {
        for (size_t i = 0; i < operation_count; i++)
            puts(operations[i].name);
        return 0;
    }
    if (argc < 5) {
        fprintf(stderr, "usage: faults --list | UID GID BANGER-GID FOLDER [OPERATION...]\n");
        return 2;
    }
    account = (struct account){(uid_t) atoi(argv[1]), (gid_t) atoi(argv[2]), (gid_t) atoi(argv[3]), argv[4]};
    (void) prctl(PR_SET_CHILD_SUBREAPER, 1);
    (void) setvbuf(stdout, NULL, _IOLBF, 0);
    for (size_t i = 0; i < operation_count; i++) {
        if (wanted(operations[i].name, argv + 5))
            try_operation(&operations[i]);
    }
    printf("%d passed, %d failed, %d skipped\n", passed, failed_count, skipped);
    return failed_count != 0;
}
