#include "audit.h"

#include "../../common/chain_check.h"
#include "../../common/cleanup.h"
#include "output.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define KEEP       8   /* rotated files */
#define LOCK_TRIES 500 /* of 10 ms */
#define SHOW_LINES 20
#define TEXT_MAX   4096

const char audit_verify_details[] =
    "Finds an edited, removed, moved or wrongly numbered record by the chain, and a cut tail or\n"
    "rewritten chain by the heads that syslog has (/var/log/auth.log, or --syslog). Where syslog\n"
    "has none, only --head from elsewhere can tell. Other programs can write to syslog in\n"
    "banger-helper's name; the journal knows better:\n"
    "  journalctl -o short _EXE=" BANGER_LIBEXECDIR "/banger-helper | banger audit verify --syslog -";
const char audit_rotate_details[] =
    "Begins a new file for each account and keeps 8 old ones; the chain goes on. An account whose\n"
    "file has 64 MiB is refused until this is run, so let root's cron call it:\n"
    "  @weekly " BANGER_BINDIR "/banger audit rotate";

/* --- accounts ------------------------------------------------------------------- */

struct account {
    uint32_t uid;
    const struct invocation *in;
    cJSON *out; /* its object of the JSON answer */
    int failed;
};
typedef void each_account(struct account *account);

static int folder = -1;

static int open_folder(struct err *e) {
    if (geteuid() != 0)
        return err_set(e, EPERM, "the audit files are root's alone: run `sudo banger audit` with the same words");
    folder = open(CHAIN_FOLDER, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (folder < 0)
        return err_sys(e, errno, "cannot open " CHAIN_FOLDER ", where `make install` puts the audit files");
    return 0;
}

static int wanted_uid(const char *text, uint32_t *uid, struct err *e) {
    char *end = NULL;
    const struct passwd *account = getpwnam(text);
    errno = 0;
    unsigned long number = account ? account->pw_uid : strtoul(text, &end, 10);
    if (!account && (errno || end == text || *end || text[0] == '-' || number >= UINT32_MAX))
        return err_set(e, EINVAL, "there is no account %s: give a name or a uid", text);
    *uid = (uint32_t) number;
    return 0;
}

static int by_uid(const void *a, const void *b) {
    const uint32_t x = *(const uint32_t *) a, y = *(const uint32_t *) b;
    return (x > y) - (x < y);
}

/* Sorted; the caller's. */
static size_t all_uids(uint32_t **uids) {
    size_t count = 0;
    *uids = NULL;
    DIR *dir = fdopendir(dup(folder));
    for (const struct dirent *d; dir && (d = readdir(dir));) {
        char name[32];
        uint32_t uid;
        /* A number beyond its type is another file's name. NOLINTNEXTLINE(cert-err34-c) */
        if (sscanf(d->d_name, "audit-%" SCNu32, &uid) != 1)
            continue;
        (void) snprintf(name, sizeof(name), CHAIN_FILE, uid);
        uint32_t *more = strcmp(name, d->d_name) == 0 ? realloc(*uids, (count + 1) * sizeof(uid)) : NULL;
        if (more) {
            more[count++] = uid;
            *uids = more;
        }
    }
    if (dir)
        (void) closedir(dir);
    if (count)
        qsort(*uids, count, sizeof(**uids), by_uid);
    return count;
}

/* Runs `each` for the account that --user names, or all; the exit status. */
static int run(const struct invocation *in, each_account *each) {
    struct err e = {0};
    uint32_t one = 0;
    cleanup_free uint32_t *uids = NULL;
    const char *user = options_text(in, OPT_USER, NULL);
    if (options_given(in, OPT_HEAD) && !user)
        (void) err_set(&e, EINVAL, "--head is the head of one account: say which with --user");
    if (e.code || open_folder(&e) || (user && wanted_uid(user, &one, &e))) {
        output_error(&e);
        return EXIT_OWN;
    }
    size_t count = user ? 1 : all_uids(&uids);
    cJSON *out = cJSON_CreateObject(), *accounts = cJSON_AddArrayToObject(out, "accounts");
    int failed = 0;
    for (size_t i = 0; i < count; i++) {
        struct account account = {.uid = user ? one : uids[i], .in = in, .out = cJSON_CreateObject()};
        (void) cJSON_AddNumberToObject(account.out, "uid", account.uid);
        (void) cJSON_AddItemToArray(accounts, account.out);
        each(&account);
        failed |= account.failed;
    }
    if (options_given(in, OPT_JSON))
        output_json(out);
    else
        cJSON_Delete(out);
    return failed ? EXIT_OWN : 0;
}

/* The live file, or its `old`th predecessor. */
static void file_name(char out[48], uint32_t uid, int old) {
    int n = snprintf(out, 48, CHAIN_FILE, uid);
    if (old)
        (void) snprintf(out + n, 48 - (size_t) n, ".%d", old);
}

static FILE *open_old(uint32_t uid, int old) {
    char name[48];
    file_name(name, uid, old);
    int fd = openat(folder, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    return fd < 0 ? NULL : fdopen(fd, "r");
}

/* A line's bytes without its newline: of one that is longer than a record the last ones, as the
 * chain has it. -1 at the end; `*whole` is 0 where the file ends within the line. */
static ssize_t read_line(FILE *file, char line[CHAIN_LINE_MAX + 1], int *whole) {
    size_t size = 0;
    int c;
    while ((c = getc(file)) != EOF && c != '\n') {
        if (size == CHAIN_LINE_MAX)
            memmove(line, line + 1, --size);
        line[size++] = (char) c;
    }
    line[size] = '\0';
    *whole = c == '\n';
    return c == EOF && size == 0 ? -1 : (ssize_t) size;
}

/* --- show ------------------------------------------------------------------------- */

static void show_line(const struct account *account, cJSON *records, const char *line) {
    cJSON *record = cJSON_Parse(line);
    char text[TEXT_MAX];
    if (options_given(account->in, OPT_JSON)) {
        (void) cJSON_AddItemToArray(records, record ? record : cJSON_CreateString(line));
        return;
    }
    (void) snprintf(text, sizeof(text), "%s  uid %u  pid %" PRId64 "  op %s  %s slot %" PRId64 ": %s (%s)",
                    output_member(record, "time"), account->uid, output_number(record, "pid"),
                    output_member(record, "op_id"), output_member(record, "operation"), output_number(record, "slot"),
                    output_member(record, "verdict"), output_member(record, "why"));
    if (!record)
        (void) snprintf(text, sizeof(text), "(no record) %s", line);
    cJSON_Delete(record);
    text_sanitize(text);
    (void) puts(text);
}

static void show(struct account *account) {
    const int64_t most = options_number(account->in, OPT_LINES, SHOW_LINES);
    char line[CHAIN_LINE_MAX + 1];
    int whole;
    int64_t count = 0;
    cJSON *records = cJSON_AddArrayToObject(account->out, "records");
    for (int counting = 1; counting >= 0; counting--) {
        for (int old = KEEP; old >= 0; old--) {
            cleanup_file FILE *file = open_old(account->uid, old);
            while (file && read_line(file, line, &whole) >= 0) {
                if (counting)
                    count++;
                else if (count-- <= most)
                    show_line(account, records, line);
            }
        }
    }
}

int command_audit_show(const struct invocation *in) {
    return run(in, show);
}

/* --- verify ------------------------------------------------------------------------ */

/* The heads that syslog has of one account, by number. */
struct heads {
    struct head {
        uint64_t n;
        char hash[CHAIN_HASH_SIZE];
    } * list;
    size_t count, next;
};

static int by_number(const void *a, const void *b) {
    const uint64_t x = ((const struct head *) a)->n, y = ((const struct head *) b)->n;
    return (x > y) - (x < y);
}

static void read_heads(struct heads *heads, uint32_t wanted, FILE *file) {
    char text[TEXT_MAX];
    while (fgets(text, sizeof(text), file)) {
        struct head head;
        uint32_t uid;
        const char *at = strstr(text, "banger-helper[");
        at = at ? strstr(at, ": n=") : NULL;
        /* A number beyond its type is no record's. NOLINTNEXTLINE(cert-err34-c) */
        if (!at || sscanf(at, ": n=%" SCNu64 " head=%64[0-9a-f] uid=%" SCNu32 " ", &head.n, head.hash, &uid) != 3 ||
            uid != wanted || strlen(head.hash) != CHAIN_HASH_SIZE - 1)
            continue;
        struct head *more = realloc(heads->list, (heads->count + 1) * sizeof(head));
        if (!more)
            return;
        heads->list = more;
        heads->list[heads->count++] = head;
    }
}

static struct heads heads_of(const struct account *account) {
    static const char *const usual[] = {"/var/log/auth.log.1", "/var/log/auth.log"};
    const char *given = options_text(account->in, OPT_SYSLOG, NULL);
    struct heads heads = {0};
    for (size_t i = 0; i < (given ? 1 : 2); i++) {
        const char *path = given ? given : usual[i];
        cleanup_file FILE *file = fopen(strcmp(path, "-") == 0 ? "/dev/stdin" : path, "re");
        if (file)
            read_heads(&heads, account->uid, file);
    }
    if (heads.count)
        qsort(heads.list, heads.count, sizeof(*heads.list), by_number);
    return heads;
}

static void finding(struct account *account, const char *name, int64_t line, const char *text) {
    cJSON *list = cJSON_GetObjectItemCaseSensitive(account->out, "findings"), *one = cJSON_CreateObject();
    (void) cJSON_AddStringToObject(one, "file", name);
    (void) cJSON_AddNumberToObject(one, "line", (double) line);
    (void) cJSON_AddStringToObject(one, "text", text);
    (void) cJSON_AddItemToArray(list, one);
    account->failed = 1;
    if (!options_given(account->in, OPT_JSON))
        (void) printf(CHAIN_FOLDER "/%s:%" PRId64 ": %s\n", name, line, text);
}

/* 1 where syslog has a head of this number and none of them is this line's. */
static int syslog_differs(struct heads *heads, uint64_t n, const char *hash) {
    int seen = 0, same = 0;
    while (heads->next < heads->count && heads->list[heads->next].n < n)
        heads->next++;
    for (; heads->next < heads->count && heads->list[heads->next].n == n; heads->next++) {
        seen = 1;
        same |= strcmp(heads->list[heads->next].hash, hash) == 0;
    }
    return seen && !same;
}

static const char *const faults[] = {
    [CHAIN_PREV] = "does not follow the line before it: one of them was edited, removed, added or moved",
    [CHAIN_NUMBER] = "is not numbered one more than the record before it",
};

struct place {
    char name[48];
    int64_t line;
};

/* One file of the account; the last line's place. */
static void verify_file(struct account *account, int old, struct chain_check *check, struct heads *heads,
                        struct place *last, int *head_seen) {
    const char *head = options_text(account->in, OPT_HEAD, NULL);
    char line[CHAIN_LINE_MAX + 1];
    int whole = 1, torn = 0;
    ssize_t size;
    cleanup_file FILE *file = open_old(account->uid, old);
    if (!file)
        return;
    file_name(last->name, account->uid, old);
    for (last->line = 0; (size = read_line(file, line, &whole)) >= 0;) {
        const enum chain_fault fault = chain_check(check, line, (size_t) size);
        last->line++;
        torn = fault == CHAIN_TORN || !whole;
        if (fault != CHAIN_GOOD && fault != CHAIN_TORN)
            finding(account, last->name, last->line, faults[fault]);
        if (fault != CHAIN_TORN && syslog_differs(heads, check->n, check->head))
            finding(account, last->name, last->line, "is not what syslog has the head of under this number");
        *head_seen |= head && strcmp(head, check->head) == 0;
    }
    if (torn && old == 0)
        finding(account, last->name, last->line, "the file ends in what is no whole record");
}

static void verify(struct account *account) {
    char oldest[48];
    file_name(oldest, account->uid, KEEP);
    struct chain_check check = {.within = faccessat(folder, oldest, F_OK, 0) == 0};
    struct heads heads = heads_of(account);
    struct place last = {.line = 0};
    int head_seen = 0;
    file_name(last.name, account->uid, 0);
    (void) cJSON_AddArrayToObject(account->out, "findings");
    for (int old = KEEP; old >= 0; old--)
        verify_file(account, old, &check, &heads, &last, &head_seen);
    if (heads.count && heads.list[heads.count - 1].n > check.n)
        finding(account, last.name, last.line, "records after this one are in syslog and not here: the tail was cut");
    if (options_given(account->in, OPT_HEAD) && !head_seen)
        finding(account, last.name, last.line,
                "no line has the hash that --head gives: the tail was cut, or all rewritten");
    (void) cJSON_AddNumberToObject(account->out, "records", (double) check.n);
    (void) cJSON_AddStringToObject(account->out, "head", check.head);
    (void) cJSON_AddNumberToObject(account->out, "syslog", (double) heads.count);
    if (!options_given(account->in, OPT_JSON)) {
        (void) printf("uid %u: %s, records up to %" PRIu64 ", head %s\n", account->uid,
                      account->failed ? "NOT GOOD" : "good", check.n, check.head[0] ? check.head : "none");
        if (!heads.count && !head_seen)
            (void) printf("uid %u: syslog has no head of it (--syslog), so a cut tail or an edit of the last line "
                          "cannot be excluded\n",
                          account->uid);
    }
    free(heads.list);
}

int command_audit_verify(const struct invocation *in) {
    return run(in, verify);
}

/* --- rotate ------------------------------------------------------------------------- */

/* All of `from` into a new file `name`, on disk. */
static int copy(int from, const char *name) {
    char buffer[65536];
    cleanup_fd int to = openat(folder, name, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
    off_t at = 0;
    ssize_t n = -1;
    while (to >= 0 && (n = pread(from, buffer, sizeof(buffer), at)) > 0) {
        if (write(to, buffer, (size_t) n) != n)
            return errno ? -errno : -EIO;
        at += n;
    }
    return to < 0 || n < 0 || fsync(to) ? -errno : 0;
}

static void shift(uint32_t uid, const char *fresh) {
    char from[48], to[48];
    for (int old = KEEP; old > 1; old--) {
        file_name(to, uid, old);
        file_name(from, uid, old - 1);
        (void) renameat(folder, from, folder, to);
    }
    file_name(to, uid, 1);
    (void) renameat(folder, fresh, folder, to);
}

/* Under the lock: copies, empties, and writes the record that the chain goes on with. */
static int rotate_file(int live, uint32_t uid, off_t size) {
    char fresh[48], tail[CHAIN_TAIL_MAX], line[CHAIN_LINE_MAX], head[CHAIN_HASH_SIZE];
    struct chain_record record = {
        .uid = uid, .pid = getpid(), .operation = "rotated", .verdict = "allowed", .why = "allowed"};
    const off_t start = size > CHAIN_TAIL_MAX ? size - CHAIN_TAIL_MAX : 0;
    (void) snprintf(fresh, sizeof(fresh), CHAIN_FILE ".new", uid);
    int r = copy(live, fresh);
    if (r)
        return r;
    if (pread(live, tail, (size_t) (size - start), start) != size - start)
        return -EIO;
    size_t length = chain_append(tail, (size_t) (size - start), &record, line, head);
    const size_t skip = line[0] == '\n'; /* what is torn stays in the old file */
    shift(uid, fresh);
    if (ftruncate(live, 0) || write(live, line + skip, length - skip) != (ssize_t) (length - skip) || fsync(live) ||
        fsync(folder))
        return errno ? -errno : -EIO;
    return 0;
}

static int rotate_account(uint32_t uid, struct err *e) {
    char name[48];
    struct stat st;
    file_name(name, uid, 0);
    cleanup_fd int live = openat(folder, name, O_RDWR | O_APPEND | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (live < 0)
        return err_sys(e, errno, "cannot open " CHAIN_FOLDER "/%s", name);
    for (int i = 0; flock(live, LOCK_EX | LOCK_NB); i++) {
        if (i == LOCK_TRIES)
            return err_set(e, EBUSY, "a stopped banger-helper of uid %u holds the lock of %s: end it, then try again",
                           uid, name);
        (void) poll(NULL, 0, 10);
    }
    if (fstat(live, &st) || !S_ISREG(st.st_mode))
        return err_set(e, EINVAL, "%s is not a regular file", name);
    if (st.st_size == 0)
        return 0;
    int r = rotate_file(live, uid, st.st_size);
    return r ? err_sys(e, -r, "cannot rotate " CHAIN_FOLDER "/%s", name) : 0;
}

static void rotate(struct account *account) {
    struct err e = {0};
    if (rotate_account(account->uid, &e) < 0) {
        output_error(&e);
        account->failed = 1;
    }
}

int command_audit_rotate(const struct invocation *in) {
    return run(in, rotate);
}
