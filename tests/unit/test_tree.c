/* Trees of files as streams: what is sent is what arrives, and what no sender sends harms nobody. */
#include "../../common/tree.h"
#include "../../common/tree_made.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <seccomp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char folder[] = "/tmp/banger-tree.XXXXXX";
static struct tree_sender sender;
static struct tree_receiver receiver;
static int stream;
static char left[256];
static size_t left_count;

static void enter(void) {
    cr_assert_not_null(mkdtemp(folder));
    cr_assert_eq(chdir(folder), 0);
    stream = memfd_create("stream", MFD_CLOEXEC);
}
static void leave(void) {
    char command[128];
    (void) snprintf(command, sizeof(command), "chmod -R u+w %s; rm -rf %s", folder, folder);
    cr_assert_eq(system(command), 0); // NOLINT(cert-env33-c): a folder of the test's own
}
static void note(void *arg, const char *path, int code) {
    (void) arg;
    (void) snprintf(left, sizeof(left), "%s:%d", path, code);
    left_count++;
}
static void shell(const char *command) {
    cr_assert_eq(system(command), 0, "%s", command); // NOLINT(cert-env33-c)
}

static int send_it(const char *path) {
    cr_assert_eq(ftruncate(stream, 0), 0);
    cr_assert_eq(lseek(stream, 0, SEEK_SET), 0);
    sender = (struct tree_sender){.fd = stream, .left_out = note};
    return tree_send(&sender, path);
}
static int receive_it(const char *path, const char *base) {
    cr_assert_eq(lseek(stream, 0, SEEK_SET), 0);
    receiver = (struct tree_receiver){.fd = stream, .keep_room = 1, .left_out = note};
    return tree_receive(&receiver, path, base);
}
static int copy(const char *from, const char *to) {
    char base[TREE_NAME_MAX + 1];
    tree_base(from, base);
    int sent = send_it(from);
    int received = receive_it(to, base);
    return sent ? sent : received;
}

/* --- hand-made streams ------------------------------------------------------------ */

static void raw(const void *data, size_t size) {
    cr_assert_eq(write(stream, data, size), (ssize_t) size);
}
static void entry(enum tree_type type, const char *name, const char *target) {
    const struct tree_entry e = {
        .type = type, .mode = 07777, .name_size = (uint32_t) strlen(name), .target_size = (uint32_t) strlen(target)};
    raw(&e, sizeof(e));
    raw(name, strlen(name));
    raw(target, strlen(target));
}
static void chunk(const char *text) {
    uint32_t size = (uint32_t) strlen(text);
    raw(&size, sizeof(size));
    raw(text, size);
}

TestSuite(tree, .init = enter, .fini = leave);

Test(tree, a_tree_arrives_as_it_was) {
    shell("mkdir -p a/b/c a/empty && echo one >a/one && head -c 300000 /dev/urandom >a/b/big && : >a/b/c/none && "
          "ln -s ../one a/b/link && ln -s /nowhere a/gone && chmod 751 a/one && chmod 500 a/b/c && "
          "touch -d '2001-02-03 04:05:06.789' a/one a/b && touch -h -d 2002-01-01 a/gone && mkdir to");
    cr_assert_eq(copy("a", "to"), 0, "%s%s", sender.said, receiver.said);
    shell("diff -r --no-dereference a to/a && test \"$(cd a && find . -printf '%p %m %T@ %l\\n' | sort)\" = "
          "\"$(cd to/a && find . -printf '%p %m %T@ %l\\n' | sort)\"");
    cr_assert_eq(sender.bytes, 300004u);
    cr_assert_eq(receiver.bytes, 300004u);
    cr_assert_eq(receiver.total, 300004u);
}

Test(tree, where_it_goes) {
    shell("mkdir a to && echo one >a/x && echo two >file && ln -s a link");
    cr_assert_eq(copy("a/", "new"), 0, "%s", receiver.said);
    cr_assert_eq(copy("a/.", "to"), 0);
    cr_assert_eq(copy("file", "to/"), 0);
    cr_assert_eq(copy("file", "other"), 0);
    cr_assert_eq(copy("a", "."), 0, "onto itself");
    cr_assert_eq(copy("link", "to"), 0);
    cr_assert_eq(copy("link/", "to/deep"), 0);
    shell("cmp a/x new/x && cmp a/x to/x && cmp file to/file && cmp file other && test \"$(readlink to/link)\" = a && "
          "cmp a/x to/deep/x && test \"$(find . -name '.banger-*')\" = ''");
    cr_assert_eq(copy("file", "nowhere/file"), -ENOENT);
    cr_assert_str_eq(receiver.said, "there is no folder for nowhere/file: make it first");
    cr_assert_eq(copy("file", "nowhere/"), -ENOENT);
    cr_assert_eq(copy("a", "other"), -EEXIST);
    cr_assert_str_eq(receiver.said, "other is there and no folder: move it away");
    cr_assert_eq(copy("nothing", "to"), -ENOENT);
    cr_assert_str_eq(sender.said, "cannot read nothing: No such file or directory");
    cr_assert_str_eq(receiver.said, sender.said, "and the other side knows");
    cr_assert_eq(copy("file/", "to"), -ENOTDIR);
}

Test(tree, one_that_is_there_is_replaced) {
    shell("mkdir -p a/in to/a/in && echo new >a/x && echo old >to/a/x && echo kept >to/a/in/y && ln -s /etc/passwd a/l "
          "&& "
          "ln -s x to/a/l && chmod 700 a && chmod 755 to/a");
    cr_assert_eq(copy("a", "to"), 0, "%s", receiver.said);
    shell(
        "test \"$(cat to/a/x)\" = new && test \"$(cat to/a/in/y)\" = kept && test \"$(readlink to/a/l)\" = /etc/passwd "
        "&& test \"$(stat -c %a to/a)\" = 755");
    shell("rm to/a/x && mkdir to/a/x");
    cr_assert_eq(copy("a", "to"), -EISDIR);
    cr_assert_str_eq(receiver.said, "cannot put a file in the place of a/x: Is a directory");
}

Test(tree, special_files_are_left_out_and_told) {
    shell("mkdir a && mkfifo a/pipe && echo one >a/one");
    cr_assert_eq(copy("a", "to"), 0);
    cr_assert_str_eq(left, "to/pipe:0");
    cr_assert_eq(left_count, 2u, "by both sides");
    cr_assert_eq(access("to/one", F_OK), 0);
    cr_assert_eq(copy("a/pipe", "b"), -EOPNOTSUPP, "alone it is an error");
}

Test(tree, names_of_more_than_one_part_go_nowhere) {
    static const char *const names[] = {"../out", "/tmp/out", "..", ".", "", "a/b"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        cr_assert_eq(ftruncate(stream, 0), 0);
        cr_assert_eq(lseek(stream, 0, SEEK_SET), 0);
        entry(TREE_TOTAL, "", "");
        entry(TREE_FOLDER, "", "");
        entry(TREE_FILE, names[i], "");
        chunk("evil");
        chunk("");
        entry(TREE_LEAVE, "", "");
        entry(TREE_END, "", "");
        cr_assert_eq(receive_it("in", "x"), -EPROTO, "%s", names[i]);
        shell("test ! -e out && test \"$(ls)\" = in && test \"$(ls -A in)\" = '' && rmdir in");
    }
}

Test(tree, a_link_is_no_way_out) {
    shell("mkdir outside in && echo safe >outside/file");
    entry(TREE_TOTAL, "", "");
    entry(TREE_FOLDER, "", "");
    entry(TREE_LINK, "way", "../../outside");
    entry(TREE_FOLDER, "way", "");
    entry(TREE_FILE, "file", "");
    chunk("evil");
    chunk("");
    cr_assert_eq(receive_it("in", "x"), -EEXIST);
    shell("test \"$(cat outside/file)\" = safe && test \"$(ls outside)\" = file");
}

Test(tree, a_file_replaces_a_link_and_not_what_it_leads_to) {
    shell("mkdir in && echo safe >file && ln -s ../file in/f");
    entry(TREE_TOTAL, "", "");
    entry(TREE_FILE, "", "");
    chunk("new");
    chunk("");
    entry(TREE_END, "", "");
    cr_assert_eq(receive_it("in", "f"), 0, "%s", receiver.said);
    shell("test \"$(cat file)\" = safe && test \"$(cat in/f)\" = new && test ! -L in/f && test \"$(stat -c %a in/f)\" "
          "= 777");
}

Test(tree, a_cut_stream_leaves_no_half_file) {
    shell("mkdir in && head -c 200000 /dev/zero >file && echo old >in/file");
    cr_assert_eq(send_it("file"), 0);
    cr_assert_eq(ftruncate(stream, 150000), 0);
    cr_assert_eq(receive_it("in", "file"), -EPIPE);
    cr_assert_str_eq(receiver.said, "the copy was broken off");
    shell("test \"$(ls -A in)\" = file && test \"$(cat in/file)\" = old");
}

/* --- receivers that are killed, and file systems that have names only ------------------------ */

static void write_file(const char *path, const char *text) {
    FILE *file = fopen(path, "we");
    cr_assert(file && fputs(text, file) >= 0 && fclose(file) == 0);
}
static int holds(const char *path, const char *text) {
    char have[16] = "";
    FILE *file = fopen(path, "re");
    size_t size = file ? fread(have, 1, sizeof(have) - 1, file) : 0;
    if (file)
        (void) fclose(file);
    return size == strlen(text) && strcmp(have, text) == 0;
}

/* 1 once the process waits for more than it was sent. */
static int waits(pid_t pid, int from) {
    char path[32], text[256] = "";
    int unread = 1;
    (void) snprintf(path, sizeof(path), "/proc/%d/stat", (int) pid);
    FILE *file = fopen(path, "re");
    size_t size = file ? fread(text, 1, sizeof(text) - 1, file) : 0;
    if (file)
        (void) fclose(file);
    const char *state = size ? strrchr(text, ')') : NULL;
    return ioctl(from, FIONREAD, &unread) == 0 && unread == 0 && state && strchr("SZ", state[2]);
}

/* A receiver of the stream's first bytes, killed when it waits for the next. */
static void receive_and_die(const char *bytes, size_t size) {
    int ends[2];
    cr_assert_eq(pipe2(ends, O_CLOEXEC), 0);
    pid_t pid = fork();
    cr_assert_geq(pid, 0);
    if (pid == 0) {
        receiver = (struct tree_receiver){.fd = ends[0], .left_out = note};
        _exit(tree_receive(&receiver, "to", "a") ? 1 : 0);
    }
    cr_assert_eq(write(ends[1], bytes, size), (ssize_t) size);
    while (!waits(pid, ends[0]))
        (void) usleep(100);
    cr_assert_eq(kill(pid, SIGKILL), 0);
    cr_assert_eq(waitpid(pid, NULL, 0), pid);
    (void) close(ends[0]);
    (void) close(ends[1]);
}

/* At each byte: what is there is old or new, and nothing else is. */
Test(tree, a_receiver_that_is_killed_leaves_nothing_half) {
    static char bytes[4096];
    shell("mkdir -p a to/a && echo new >a/fresh && echo new >a/there && ln -s new a/link && ln -s new a/over");
    cr_assert_eq(send_it("a"), 0);
    const ssize_t size = pread(stream, bytes, sizeof(bytes), 0);
    cr_assert(size > 100 && size < (ssize_t) sizeof(bytes));
    for (ssize_t cut = 0; cut <= size; cut++) {
        (void) unlink("to/a/fresh");
        (void) unlink("to/a/link");
        (void) unlink("to/a/over");
        cr_assert_eq(symlink("old", "to/a/over"), 0);
        write_file("to/a/there", "old\n");
        receive_and_die(bytes, (size_t) cut);
        cr_assert(access("to/a/fresh", F_OK) || holds("to/a/fresh", "new\n"), "at %zd", cut);
        cr_assert(holds("to/a/there", "old\n") || holds("to/a/there", "new\n"), "at %zd", cut);
    }
    shell("test \"$(ls -A to/a)\" = \"$(ls -A a)\" && diff -r --no-dereference a to/a");
}

Test(tree, where_every_file_has_a_name_none_is_left) {
    shell("mkdir a to && head -c 200000 /dev/zero >a/file && echo old >to/file");
    pid_t pid = fork();
    cr_assert_geq(pid, 0);
    if (pid == 0) {
        scmp_filter_ctx rules = seccomp_init(SCMP_ACT_ALLOW);
        int bad = seccomp_rule_add(rules, SCMP_ACT_ERRNO(EOPNOTSUPP), SCMP_SYS(openat), 1,
                                   SCMP_A2(SCMP_CMP_MASKED_EQ, O_TMPFILE, O_TMPFILE)) ||
                  seccomp_load(rules) || open(".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600) >= 0;
        bad = bad || send_it("a/file") || receive_it("new", "") || receive_it("to", "file");
        bad = bad || ftruncate(stream, 150000) || receive_it("to", "cut") != -EPIPE;
        _exit(bad);
    }
    int status = -1;
    cr_assert_eq(waitpid(pid, &status, 0), pid);
    cr_expect_eq(status, 0);
    shell("cmp a/file new && cmp a/file to/file && test \"$(ls -A to)\" = file && test -z \"$(find . -name "
          "'.banger-*')\"");
}

/* Receives what is on the stream as `path`, and is killed by the call that would give a file or link its name. */
static void receive_and_die_unnamed(const char *path) {
    pid_t pid = fork();
    cr_assert_geq(pid, 0);
    if (pid == 0) {
        scmp_filter_ctx rules = seccomp_init(SCMP_ACT_ALLOW);
        int bad = seccomp_rule_add(rules, SCMP_ACT_KILL_PROCESS, SCMP_SYS(renameat), 0) ||
                  seccomp_rule_add(rules, SCMP_ACT_KILL_PROCESS, SCMP_SYS(renameat2), 0) || seccomp_load(rules);
        _exit(bad || receive_it(path, "") ? 1 : 0);
    }
    int status = 0;
    cr_assert_eq(waitpid(pid, &status, 0), pid);
    cr_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS, "%x", status);
}

static void expect_left(const char *count) {
    char command[128];
    (void) snprintf(command, sizeof(command), "test \"$(find to -name '.banger-cp-*' | wc -l)\" = %s", count);
    shell(command);
}

/* With what is at a/in/it in the place of what `old` makes. */
static void kill_and_copy(const char *old) {
    shell(old);
    cr_assert_eq(send_it("a/in/it"), 0);
    receive_and_die_unnamed("to/in/it");
    expect_left("1");
    cr_assert_eq(copy("a/in/it", "to/in/it"), 0, "%s", receiver.said);
    expect_left("0");
    shell(old);
    cr_assert_eq(send_it("a/."), 0);
    receive_and_die_unnamed("to");
    expect_left("1");
    cr_assert_eq(copy("a/.", "to"), 0, "%s", receiver.said);
    expect_left("0");
    shell("diff -r --no-dereference a to");
}

Test(tree, what_one_that_was_killed_has_left_goes_with_the_next) {
    shell("mkdir -p a/in to/in && echo new >a/in/it && chmod 400 a/in/it");
    kill_and_copy("rm -f to/in/it && echo old >to/in/it");
    shell("rm -f a/in/it && ln -s new a/in/it");
    kill_and_copy("ln -sfn old to/in/it");
}

Test(tree, what_another_makes_stays) {
    shell("mkdir -p a to/.banger-cp-0123456789abcdef && ln -s x a/link && echo 1 >a/f && cd to && "
          "for name in 0123456789abcde 0123456789abcdeff 0123456789abcdeF 0123456789abcde.; do "
          "echo kept >.banger-cp-$name; done && ln -s x .banger-link && echo held >.banger-cp-fedcba9876543210 && "
          "echo two >.banger-cp-2222222222222222 && ln .banger-cp-2222222222222222 two");
    int held = open("to/.banger-cp-fedcba9876543210", O_RDONLY | O_CLOEXEC);
    cr_assert_eq(flock(held, LOCK_EX), 0);
    cr_assert_eq(copy("a/.", "to"), 0, "%s", receiver.said);
    shell("test \"$(ls -A to | grep -c banger)\" = 8");
    (void) close(held);
    cr_assert_eq(copy("a/.", "to"), 0, "%s", receiver.said);
    shell("test \"$(ls -A to | grep -c banger)\" = 7 && test ! -e to/.banger-cp-fedcba9876543210");
}

static atomic_int sweeping = 1;
static void *sweep(void *arg) {
    int dir = open("to", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    (void) arg;
    for (; atomic_load(&sweeping); (void) usleep(20000))
        tree_made_sweep(dir);
    (void) close(dir);
    return NULL;
}

/* A link is taken for left when others come into the folder at that moment. */
Test(tree, receivers_in_one_folder_do_not_hinder_each_other) {
    pthread_t thread;
    shell("mkdir -p a to && for i in $(seq 500); do ln -s new a/$i; ln -s old to/$i; done && echo new >a/f && "
          "echo old >to/f");
    cr_assert_eq(pthread_create(&thread, NULL, sweep, NULL), 0);
    for (int i = 0; i < 5; i++)
        cr_expect_eq(copy("a/.", "to"), 0, "%s", receiver.said);
    atomic_store(&sweeping, 0);
    cr_assert_eq(pthread_join(thread, NULL), 0);
    shell("diff -r --no-dereference a to");
}

Test(tree, a_sender_that_cannot_go_on_says_why) {
    const uint32_t failed = TREE_CHUNK_FAILED;
    entry(TREE_TOTAL, "", "");
    entry(TREE_FILE, "", "");
    chunk("half");
    raw(&failed, sizeof(failed));
    entry(TREE_FAILED, "the disk is broken", "");
    cr_assert_eq(receive_it(".", "file"), -EREMOTEIO);
    cr_assert_str_eq(receiver.said, "the disk is broken");
    shell("test \"$(ls -A)\" = ''");
}

/* Anything else that is no tree. */
static void refused(void) {
    cr_assert_eq(receive_it(".", "x"), -EPROTO, "%s", receiver.said);
    cr_assert_eq(ftruncate(stream, 0), 0);
    cr_assert_eq(lseek(stream, 0, SEEK_SET), 0);
}
Test(tree, what_no_sender_sends) {
    const uint32_t huge = TREE_CHUNK_MAX + 1;
    struct tree_entry odd = {.type = TREE_TOTAL, .reserved = 1};
    raw(&odd, sizeof(odd));
    refused();
    odd = (struct tree_entry){.type = TREE_TOTAL, .name_size = TREE_NAME_MAX + 1};
    raw(&odd, sizeof(odd));
    refused();
    odd = (struct tree_entry){.type = TREE_END + 1};
    raw(&odd, sizeof(odd));
    refused();
    entry(TREE_FILE, "", "");
    refused();
    entry(TREE_TOTAL, "", "");
    entry(TREE_LEFT_OUT, "", "");
    refused();
    entry(TREE_TOTAL, "", "");
    entry(TREE_FILE, "named", "");
    refused();
    entry(TREE_TOTAL, "", "");
    entry(TREE_LINK, "", "");
    refused();
    entry(TREE_TOTAL, "", "");
    entry(TREE_FILE, "", "");
    raw(&huge, sizeof(huge));
    refused();
    entry(TREE_TOTAL, "", "");
    entry(TREE_FILE, "", "");
    chunk("");
    entry(TREE_LEAVE, "", "");
    refused();
    odd = (struct tree_entry){.type = TREE_TOTAL, .name_size = 3};
    raw(&odd, sizeof(odd));
    raw("a\0b", 3);
    refused();
}

Test(tree, too_deep_is_refused) {
    entry(TREE_TOTAL, "", "");
    entry(TREE_FOLDER, "", "");
    for (int i = 0; i < TREE_DEPTH_MAX; i++)
        entry(TREE_FOLDER, "d", "");
    cr_assert_eq(receive_it(".", "x"), -EPROTO);
    cr_assert_eq(copy("x", "y"), -ELOOP, "nor sent");
    cr_assert_not_null(strstr(sender.said, "too many folders in each other"));
}

Test(tree, what_the_disk_has_no_room_for_is_refused_before) {
    const struct tree_entry total = {.type = TREE_TOTAL, .size = 1ull << 60};
    raw(&total, sizeof(total));
    cr_assert_eq(receive_it(".", "x"), -ENOSPC);
    cr_assert_not_null(strstr(receiver.said, "MiB are free where x goes, too little for it"));
}

Test(tree, answers) {
    cr_assert_eq(tree_answer(stream, ""), 0);
    cr_assert_eq(lseek(stream, 0, SEEK_SET), 0);
    receiver.fd = stream;
    cr_assert_eq(tree_answered(&receiver), 0);
    cr_assert_eq(ftruncate(stream, 0), 0);
    cr_assert_eq(lseek(stream, 0, SEEK_SET), 0);
    cr_assert_eq(tree_answer(stream, "no"), 0);
    cr_assert_eq(lseek(stream, 0, SEEK_SET), 0);
    cr_assert_eq(tree_answered(&receiver), -EREMOTEIO);
    cr_assert_str_eq(receiver.said, "no");
}

Test(tree, bases) {
    static const char *const table[][2] = {{"a", "a"}, {"/x/a/", "a"}, {"a//", "a"},    {".", ""},
                                           {"..", ""}, {"/", ""},      {"x/.", ""},     {"x/..", ""},
                                           {"", ""},   {"./", ""},     {"x/...", "..."}};
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        char base[TREE_NAME_MAX + 1];
        tree_base(table[i][0], base);
        cr_assert_str_eq(base, table[i][1], "%s", table[i][0]);
    }
}
