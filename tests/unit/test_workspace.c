/* Workspaces: real repositories, handed over as the real stream, unpacked with the
 * real tar, and looked at with the real git: the other side must see what this side sees. */
#include "../../common/cleanup.h"
#include "../../unpriv/workspace/source.h"
#include "../../unpriv/workspace/workspace.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char root[64]; /* repo/, guest/, cache/, stream.tar */

static char *sh(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* Output of a shell script run in the test's folder; the test fails when it does. */
static char *sh(const char *fmt, ...) {
    char script[8192];
    int n = snprintf(script, sizeof(script), "cd %s && exec 2>&1 && set -e\n", root);
    va_list args;
    va_start(args, fmt);
    (void) vsnprintf(script + n, sizeof(script) - (size_t) n, fmt, args);
    va_end(args);
    const char *const argv[] = {"/bin/bash", "-c", script, NULL};
    struct process p = {.argv = argv};
    struct process_output o;
    cr_assert_eq(process_run(&p, NULL, 0, &o, NULL), 0);
    cr_assert_eq(o.status, 0, "%s\n%s", script, o.out);
    free(o.err);
    return o.out;
}

static void make_root(void) {
    (void) snprintf(root, sizeof(root), "/tmp/banger-workspace.XXXXXX");
    cr_assert_not_null(mkdtemp(root));
    (void) setenv("HOME", root, 1);
    (void) setenv("GIT_CONFIG_NOSYSTEM", "1", 1);
    (void) setenv("GIT_DIR", "/nowhere", 1); /* as in a git hook: must not lead astray */
    (void) setenv("GIT_INDEX_FILE", "/nowhere/index", 1);
    free(sh("unset GIT_DIR GIT_INDEX_FILE; mkdir cache guest\n"
            "git config --global user.name 'Host \"Q\" Name'; git config --global user.email host@example\n"
            "git config --global init.defaultBranch main; git config --global advice.detachedHead false\n"
            "git config --global protocol.file.allow always"));
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw) {
    (void) st, (void) type, (void) ftw;
    return remove(path);
}
static void remove_root(void) {
    (void) nftw(root, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}
TestSuite(workspace, .init = make_root, .fini = remove_root);

#define REPO "unset GIT_DIR GIT_INDEX_FILE; mkdir -p repo; cd repo\n"
#define GIT  "unset GIT_DIR GIT_INDEX_FILE; "

static struct workspace_options options_for(char path[128], char cache[128], const char *name) {
    (void) snprintf(path, 128, "%s/%s", root, name);
    (void) snprintf(cache, 128, "%s/cache", root);
    return (struct workspace_options){.path = path, .cache = cache};
}

/* Hands `name` over into guest/; the file count. */
static size_t hand_over(const char *name, const char *branch, const char *from, int untracked) {
    char path[128], cache[128], tar[128];
    struct workspace_options options = options_for(path, cache, name);
    options.branch = branch;
    options.from = from;
    options.include_untracked = untracked;
    struct workspace w;
    struct err e = {0};
    cr_assert_eq(workspace_open(&options, &w, &e), 0, "%s", e.text);
    cr_assert_eq(workspace_prepare(&options, &w, &e), 0, "%s", e.text);
    (void) snprintf(tar, sizeof(tar), "%s/stream.tar", root);
    cleanup_fd int fd = open(tar, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    cr_assert_eq(workspace_write_tar(&w, "ssh-ed25519 AAAA banger\n", fd, &e), 0, "%s", e.text);
    size_t count = w.file_count;
    workspace_close(&w);
    free(sh("rm -rf guest; mkdir guest; tar -C guest -xf stream.tar; test -z \"$(ls -A cache)\""));
    return count;
}

#define HERE  GIT "cd repo; "
#define THERE GIT "cd guest/repo; export HOME=$PWD/..; git config --global --add safe.directory '*'; "

/* `command` says the same on both sides. */
static void same(const char *command) {
    cleanup_free char *here = sh(HERE "%s", command);
    cleanup_free char *there = sh(THERE "%s", command);
    cr_expect_str_eq(there, here, "%s\nhere:\n%s\nthere:\n%s", command, here, there);
}

static void same_checkout(void) {
    same("git status --porcelain --untracked-files=no");
    same("git diff");
    same("git diff --cached");
    same("git rev-parse HEAD; git rev-parse --abbrev-ref HEAD");
    same("git ls-files -s; git rev-parse 'HEAD^{tree}'");
    free(sh(THERE "git fsck --strict"));
}

static void expect_text(const char *script, const char *wanted) {
    cleanup_free char *got = sh(THERE "%s", script);
    cr_expect_str_eq(got, wanted, "%s: %s", script, got);
}

static void expect_refusal(const char *name, const char *branch, const char *from, const char *part) {
    char path[128], cache[128];
    struct workspace_options options = options_for(path, cache, name);
    options.branch = branch;
    options.from = from;
    struct workspace w;
    struct err e = {0};
    cr_expect_lt(workspace_open(&options, &w, &e), 0);
    cr_expect_not_null(strstr(e.text, part), "%s", e.text);
    workspace_close(&w);
}

Test(workspace, clean_repository) {
    free(sh(REPO "git init -q; mkdir -p a/b; echo one >a/b/one; echo two >two; echo '#!/bin/sh' >run; chmod +x run\n"
                 "ln -s a/b/one link; ln -s /nowhere dangling; git add .; git commit -qm first; echo 3 >two; git "
                 "commit -qam second"));
    cr_assert_eq(hand_over("repo/a", NULL, NULL, 0), 5);
    same_checkout();
    expect_text("git status --porcelain", "");
    expect_text("git rev-list --count HEAD", "1\n");
    expect_text("stat -c %a run two; readlink link dangling", "755\n644\na/b/one\n/nowhere\n");
    expect_text("cat ../.ssh/authorized_keys; stat -c %a ../.ssh ../.ssh/authorized_keys",
                "ssh-ed25519 AAAA banger\n700\n600\n");
    expect_text("git config user.name", "Host \"Q\" Name\n");
    expect_text("echo x >new; git add new; git commit -qm third; git rev-list --count HEAD", "2\n");
}

Test(workspace, dirty_staged_deleted_renamed) {
    free(sh(REPO
            "git init -q; for f in a b c d e f g; do echo $f$f$f >$f; done; git add .; git commit -qm first\n"
            "echo dirty >>a; echo staged >>b; git add b; echo more >>b; rm c; git rm -q d; git mv e renamed\n"
            "echo new >n; git add n; echo intent >i; git add -N i; chmod +x f; rm g; ln -s a g; echo untracked >u"));
    hand_over("repo", NULL, NULL, 0);
    same_checkout();
    expect_text("test -e u || echo absent", "absent\n");
}

Test(workspace, names) {
    free(sh(REPO
            "git init -q; echo 1 >'with space'; echo 2 >$'with\\nnewline'; echo 3 >-leading; echo 4 >'caf\xc3\xa9'\n"
            "echo 5 >$'raw\\xff'; echo 6 >'quo\"te'; mkdir -p 'd e/f'; echo 7 >'d e/f/:colon'; echo 8 >$(printf "
            "'n%%.0s' {1..200})\n"
            "git add .; git commit -qm first; echo more >>-leading"));
    cr_assert_eq(hand_over("repo", NULL, NULL, 0), 8);
    same_checkout();
    same("find . -path ./.git -prune -o -type f -print0 | sort -z | xargs -0 sha256sum --");
}

Test(workspace, no_commit_yet) {
    free(sh(REPO "git init -q -b trunk; echo 1 >a; git add a; echo 2 >b"));
    cr_assert_eq(hand_over("repo", NULL, NULL, 0), 1);
    same("git status --porcelain --untracked-files=no; git symbolic-ref HEAD; git ls-files -s");
    expect_text("git commit -qm first; git rev-list --count HEAD", "1\n");
}

Test(workspace, nothing_at_all) {
    free(sh(REPO "git init -q"));
    cr_assert_eq(hand_over("repo", NULL, NULL, 0), 0);
    same("git status --porcelain; git symbolic-ref HEAD");
}

Test(workspace, detached_head) {
    free(sh(
        REPO
        "git init -q; echo 1 >a; git add a; git commit -qm 1; echo 2 >a; git commit -qam 2; git checkout -q HEAD~1"));
    hand_over("repo", NULL, NULL, 0);
    same_checkout();
}

Test(workspace, linked_worktree) {
    free(sh(GIT
            "git init -q main; cd main; echo 1 >a; git add a; git commit -qm 1; git worktree add -q ../repo -b side\n"
            "cd ../repo; echo 2 >b; git add b; echo 3 >>a"));
    hand_over("repo", NULL, NULL, 0);
    same_checkout();
    expect_text("git branch --show-current", "side\n");
}

Test(workspace, sha256_repository) {
    free(sh(
        REPO
        "git init -q --object-format=sha256; echo 1 >a; git add a; git commit -qm 1; echo 2 >a; echo 3 >b; git add b"));
    hand_over("repo", NULL, NULL, 0);
    same_checkout();
}

Test(workspace, packed_split_alternate_untracked_cache) {
    free(sh(GIT "git init -q base; cd base; seq 1000 >a; git add a; git commit -qm 1; seq 2000 >a; git commit -qam 2; "
                "git gc -q; cd ..\n"
                "git clone -q --shared base repo; cd repo; seq 5 >b; git add b; git update-index --split-index "
                "--untracked-cache\n"
                "git config core.fsmonitor 'touch /tmp/banger-fsmonitor-ran; false'; echo 9 >>a"));
    (void) unlink("/tmp/banger-fsmonitor-ran");
    hand_over("repo", NULL, NULL, 0);
    cr_expect_neq(access("/tmp/banger-fsmonitor-ran", F_OK), 0, "the repository's file-system monitor was run");
    free(sh(HERE "git config --unset core.fsmonitor"));
    same_checkout();
}

Test(workspace, merge_conflict_and_skipped_files) {
    free(sh(REPO "git init -q; echo 1 >a; echo s >skip; git add .; git commit -qm 1; git checkout -qb x; echo 2 >a; "
                 "git commit -qam 2\n"
                 "git checkout -q main; echo 3 >a; git commit -qam 3; git merge -q x >/dev/null || true\n"
                 "git update-index --skip-worktree skip; rm skip"));
    cr_assert_eq(hand_over("repo", NULL, NULL, 0), 1);
    same("git status --porcelain --untracked-files=no; git ls-files -s");
}

Test(workspace, content_filters) {
    free(sh(REPO
            "git init -q; git config core.autocrlf true; printf 'a\\r\\nb\\r\\n' >crlf; printf '*.up filter=up\\n' "
            ">.gitattributes\n"
            "git config filter.up.clean 'tr A-Z a-z'; git config filter.up.smudge 'tr a-z A-Z'; echo SHOUT >x.up\n"
            "git add . 2>/dev/null; git commit -qm 1; sleep 1.1; git status >/dev/null; git update-index --refresh"));
    hand_over("repo", NULL, NULL, 0);
    same("git status --porcelain");
}

Test(workspace, new_branch) {
    free(sh(REPO "git init -q; echo 1 >a; git add a; git commit -qm 1; git tag v1; echo 2 >a; echo b >b; git add b; "
                 "git commit -qam 2; echo 3 >a"));
    hand_over("repo", "topic/x", NULL, 0);
    expect_text("git branch --show-current; cat a; git status --porcelain", "topic/x\n3\n M a\n");
    hand_over("repo", "topic", "v1", 0);
    expect_text("git branch --show-current; cat a; ls; git status --porcelain", "topic\n1\na\n");
    cleanup_free char *host = sh(HERE "git branch --show-current; cat a; git branch --list | wc -l");
    cr_expect_str_eq(host, "main\n3\n1\n");
    expect_refusal("repo", "bad..name", NULL, "--branch");
    expect_refusal("repo", "x", "nosuch", "names no commit");
}

/* So many bytes, in parts that a file's name can have. */
static const char *long_branch(size_t size) {
    static char name[2048];
    memset(name, 'b', size);
    for (size_t at = 200; at < size; at += 200)
        name[at] = '/';
    name[size] = 0;
    return name;
}

Test(workspace, a_long_branch_is_whole_or_refused) {
    free(sh(REPO "git init -q; echo 1 >a; git add a; git commit -qm 1"));
    static const size_t sizes[] = {255, 256, 700, 1023};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        free(sh(HERE "git checkout -qb %s", long_branch(sizes[i])));
        hand_over("repo", NULL, NULL, 0);
        same_checkout();
    }
    hand_over("repo", long_branch(1022), NULL, 0);
    cleanup_free char *there = sh(THERE "git branch --show-current");
    cr_expect_eq(strlen(there), 1023);
    expect_refusal("repo", long_branch(1024), NULL, "the name for --branch has more than 1023 bytes");
    free(sh(HERE "git checkout -qb %s", long_branch(1024)));
    expect_refusal("repo", NULL, NULL, "has a name of more than 1023 bytes: rename it with `git branch -m`");
}

/* The state of the host's repository as it is now. */
static void state_now(char state[GIT_OID_MAX]) {
    char path[128], cache[128];
    struct workspace_options options = options_for(path, cache, "repo");
    struct workspace w;
    struct err e = {0};
    cr_assert_eq(workspace_open(&options, &w, &e), 0, "%s", e.text);
    memcpy(state, w.state, GIT_OID_MAX);
    workspace_close(&w);
}

/* What changes a tracked file, the index, the branch or the commit, and only that, changes the state. */
Test(workspace, state_tells_of_every_change) {
    free(sh(REPO "git init -q; for f in a b c d; do echo $f >$f; done; ln -s a link; git add .; git commit -qm 1"));
    static const char *const nothing[] = {"git status", "echo 1 >untracked", "git log", "git tag v1"};
    static const char *const changes[] = {"echo A >a",
                                          "rm b",
                                          "git add a",
                                          "chmod +x c",
                                          "ln -sf b link",
                                          "touch -d 2001-01-01 d",
                                          "git commit -qm 2",
                                          "git switch -qc topic",
                                          "git checkout -qf HEAD^"};
    char before[GIT_OID_MAX], now[GIT_OID_MAX];
    state_now(before);
    for (size_t i = 0; i < sizeof(nothing) / sizeof(nothing[0]); i++) {
        free(sh(HERE "%s", nothing[i]));
        state_now(now);
        cr_expect_str_eq(now, before, "%s", nothing[i]);
    }
    for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
        free(sh(HERE "%s", changes[i]));
        state_now(now);
        cr_expect_str_neq(now, before, "%s", changes[i]);
        memcpy(before, now, sizeof(before));
    }
    hand_over("repo", "other", "v1", 0);
    char wanted[GIT_OID_MAX + 16];
    (void) snprintf(wanted, sizeof(wanted), "%s\n", before);
    expect_text("cat .git/banger-host; echo", wanted);
}

Test(workspace, what_is_deleted_is_named) {
    free(sh(REPO "git init -q; mkdir s; for f in a s/b 's/c d'; do echo 1 >\"$f\"; done; git add .; git commit -qm 1; "
                 "rm a 's/c d'"));
    hand_over("repo", NULL, NULL, 0);
    expect_text("tr '\\0' '\\n' <.git/banger-gone", "a\ns/c d\n");
    free(sh(HERE "git checkout -q ."));
    hand_over("repo", NULL, NULL, 0);
    expect_text("test -e .git/banger-gone || echo none", "none\n");
}

/* --- sync.sh, as a guest's shell runs it ------------------------------------------------------- */

static char scripts[PATH_MAX]; /* found before root is entered */

/* Brings the host's repository into guest/repo once more: what it prints. */
static char *bring(int wanted_status) {
    char path[128], cache[128], file[128];
    struct workspace_options options = options_for(path, cache, "repo");
    struct workspace w;
    struct err e = {0};
    cr_assert_eq(workspace_open(&options, &w, &e), 0, "%s", e.text);
    cr_assert_eq(workspace_prepare(&options, &w, &e), 0, "%s", e.text);
    (void) snprintf(file, sizeof(file), "%s/names", root);
    cleanup_fd int names = open(file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    cr_assert_eq(write(names, w.files, w.files_size), (ssize_t) w.files_size);
    (void) snprintf(file, sizeof(file), "%s/stream.tar", root);
    cleanup_fd int fd = open(file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    cr_assert_eq(workspace_write_tar(&w, NULL, fd, &e), 0, "%s", e.text);
    char *said = sh(GIT "export HOME=%s/guest; s=$(cat %s/packages.sh %s/sync.sh); status=0; part() { "
                        "sh -c \"$s\" banger $1 %s/guest/repo '%s' '%s' '%s'; }\n"
                        "{ part keep <names && part take <stream.tar; } || status=$?; test $status = %d",
                    root, scripts, scripts, root, w.branch, w.head, w.state, wanted_status);
    workspace_close(&w);
    return said;
}

static void find_scripts(void) {
    cr_assert_not_null(realpath("guest/images/guest", scripts));
    make_root();
    free(sh(REPO "git init -q; mkdir d e; echo x >d/x; echo y >d/y; echo x >e/x; echo out >out; git add .; "
                 "git commit -qm 1"));
    hand_over("repo", NULL, NULL, 0);
}
TestSuite(sync, .init = find_scripts, .fini = remove_root);

Test(sync, a_folder_becomes_a_file) {
    free(sh(THERE "echo mine >d/mine; echo '*.o' >.git/info/exclude; echo o >d/x.o"));
    free(sh(HERE "git rm -qr d; echo file >d; git add d; git commit -qm 2"));
    cleanup_free char *said = bring(0);
    cr_expect(strstr(said, "what was there is refs/banger/before-"), "%s", said);
    same_checkout();
    expect_text("cat d; r=$(git for-each-ref --format='%(refname)' refs/banger); git show $r:d/mine $r:d/y",
                "file\nmine\ny\n");
    free(sh(HERE "rm d; mkdir d; echo again >d/x; git add d; git commit -qm 3"));
    free(bring(0));
    same_checkout();
    expect_text("cat d/x; git for-each-ref refs/banger | wc -l; ls -A .git | grep -c '^banger-kept' || true",
                "again\n1\n0\n");
}

Test(sync, a_folder_becomes_a_link) {
    free(sh(HERE "git rm -qr d; ln -s e d; git add d; git commit -qm 2"));
    free(bring(0));
    same_checkout();
    expect_text("readlink d; ls e", "e\nx\n");
}

/* Of the guest's own: a link that leads out of the checkout, a folder in place of a file. */
Test(sync, what_a_link_leads_to_stays) {
    free(sh("mkdir guest/outside; mkdir guest/outside/x; echo kept >guest/outside/x/kept; cp -r guest/outside/x "
            "guest/outside/y"));
    free(sh(THERE "rm -r d; ln -s ../outside d; rm out; mkdir out; echo mine >out/mine"));
    free(sh(HERE "git rm -q d/y out; git commit -qm 2; echo X >d/x"));
    free(bring(0));
    expect_text("cat d/x ../outside/x/kept ../outside/y/kept out/mine", "X\nkept\nkept\nmine\n");
}

Test(sync, a_repository_in_the_way_stays) {
    free(sh(THERE "git init -q d/own; echo precious >d/own/file; git -C d/own add .; git -C d/own commit -qm own"));
    free(sh(HERE "git rm -qr d; echo file >d; git add d; git commit -qm 2"));
    cleanup_free char *said = bring(124);
    cr_expect(strstr(said, "banger: d is a file on the host, and in the guest a folder with a repository in it"), "%s",
              said);
    expect_text("cat d/own/file d/x", "precious\nx\n");
}

/* What one leaves that is killed is removed by the next, and what another is at work in is not. */
Test(workspace, scratch_of_the_dead_goes) {
    char path[128], cache[128];
    free(sh(REPO "git init -q; echo 1 >a; git add a; git commit -qm 1"));
    struct workspace_options options = options_for(path, cache, "repo");
    struct workspace w;
    pid_t pid = fork();
    cr_assert_geq(pid, 0);
    if (pid == 0) {
        if (workspace_open(&options, &w, NULL) == 0 && workspace_prepare(&options, &w, NULL) == 0)
            (void) raise(SIGKILL);
        _exit(1);
    }
    int status = 0;
    cr_assert_eq(waitpid(pid, &status, 0), pid);
    cr_assert(WIFSIGNALED(status));
    free(sh("test $(ls cache | wc -l) = 1"));
    struct err e = {0};
    cr_assert_eq(workspace_open(&options, &w, &e), 0, "%s", e.text);
    cr_assert_eq(workspace_prepare(&options, &w, &e), 0, "%s", e.text);
    free(sh("test $(ls cache | wc -l) = 1; test -d %s", w.scratch));
    struct workspace other;
    cr_assert_eq(workspace_open(&options, &other, &e), 0, "%s", e.text);
    cr_assert_eq(workspace_prepare(&options, &other, &e), 0, "%s", e.text);
    free(sh("test $(ls cache | wc -l) = 2; test -d %s", w.scratch));
    workspace_close(&other);
    workspace_close(&w);
    free(sh("test -z \"$(ls -A cache)\""));
}

Test(workspace, a_folder_that_is_gone_is_said) {
    struct git_repo repo = {.top = "/no/such/folder"};
    char oid[GIT_OID_MAX];
    struct err e = {0};
    cr_expect_lt(git_commit(&repo, "HEAD", oid, &e), 0);
    cr_expect_str_eq(e.text, "cannot enter /no/such/folder: No such file or directory");
}

Test(workspace, untracked_files_on_request) {
    free(sh(REPO "git init -q; echo '*.o' >.gitignore; git add .gitignore; git commit -qm 1; echo 1 >u; mkdir d; echo "
                 "2 >d/v; echo 3 >w.o\n"
                 "git init -q nested; echo 4 >nested/n"));
    char path[128], cache[128];
    struct workspace_options options = options_for(path, cache, "repo");
    struct workspace w;
    cr_assert_eq(workspace_open(&options, &w, NULL), 0);
    cr_expect_eq(w.untracked, 3);
    cr_expect_eq(w.file_count, 1);
    workspace_close(&w);
    cr_assert_eq(hand_over("repo", NULL, NULL, 1), 3);
    expect_text("find . -path ./.git -prune -o -type f -print | sort", "./.gitignore\n./d/v\n./u\n");
}

Test(workspace, credentials_stay) {
    free(sh(REPO
            "git init -q; git config user.email repo@example; git config http.extraheader 'Authorization: secret'\n"
            "git remote add origin https://me:hunter2@host.example/x.git; echo 1 >a; git add a; git commit -qm 1"));
    hand_over("repo", NULL, NULL, 0);
    expect_text("git config remote.origin.url; git config user.email; git config --global user.email",
                "https://host.example/x.git\nrepo@example\nhost@example\n");
    expect_text("grep -rcE 'hunter2|secret' .git/config || true", "0\n");
}

Test(workspace, refusals) {
    free(sh(
        GIT
        "git init -q --bare bare; mkdir plain; git init -q sub; cd sub; echo 1 >a; git add a; git commit -qm 1; cd ..\n"
        "git init -q repo; cd repo; git submodule --quiet add ../sub lib; git commit -qm 1"));
    expect_refusal("bare", NULL, NULL, "bare repository");
    expect_refusal("plain", NULL, NULL, "git init");
    expect_refusal("repo", NULL, NULL, "submodule lib");
    expect_refusal("repo/.git", NULL, NULL, "working tree");
    expect_refusal("missing", NULL, NULL, "No such file");
}

Test(workspace, what_is_no_file_is_refused) {
    free(sh(REPO "git init -q; echo 1 >a; mkdir d; echo 2 >d/b; git add .; git commit -qm 1; rm a; mkfifo a"));
    expect_refusal("repo", NULL, NULL, "a is a device");
    free(sh(HERE "rm a; echo 1 >a; mv d real; ln -s real d"));
    cr_assert_eq(hand_over("repo", NULL, NULL, 0), 1); /* d/b lies behind a link now: for git it is deleted */
    same("git status --porcelain --untracked-files=no");
}

Test(workspace, paths_of_a_hostile_index) {
    static const char *const bad[] = {"../secret",     "/etc/passwd", "a/../../b", ".git/config",
                                      "x/.GIT/config", "a//b",        "."};
    struct source s;
    struct stat st;
    cr_assert_eq(source_open(&s, root, NULL), 0);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        cr_expect_eq(source_stat(&s, bad[i], &st, NULL), -EINVAL, "%s", bad[i]);
    source_close(&s);
}

Test(workspace, reader_that_goes_away) {
    int ends[2];
    free(sh(REPO "git init -q; head -c 3000000 /dev/urandom >a; git add a; git commit -qm 1"));
    char path[128], cache[128];
    struct workspace_options options = options_for(path, cache, "repo");
    struct workspace w;
    cr_assert_eq(workspace_open(&options, &w, NULL), 0);
    cr_assert_eq(workspace_prepare(&options, &w, NULL), 0);
    (void) signal(SIGPIPE, SIG_IGN);
    cr_assert_eq(pipe(ends), 0);
    (void) close(ends[0]);
    cr_expect_eq(workspace_write_tar(&w, NULL, ends[1], NULL), -EPIPE);
    (void) close(ends[1]);
    workspace_close(&w);
}
