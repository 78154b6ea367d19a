/* paths.h and folder.h: where things are, long paths, folders that appear whole. */
#include "../../unpriv/store/folder.h"
#include "../../unpriv/store/paths.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

static char home[64];

static void begin(void) {
    strcpy(home, "/tmp/banger-paths-XXXXXX");
    cr_assert(mkdtemp(home));
    cr_assert_eq(setenv("HOME", home, 1), 0);
    (void) unsetenv("XDG_STATE_HOME");
    (void) unsetenv("XDG_CONFIG_HOME");
    (void) unsetenv("XDG_CACHE_HOME");
}

static void end(void) {
    char command[256];
    (void) snprintf(command, sizeof(command), "chmod -R u+rwx %s; rm -rf %s", home, home);
    cr_assert_eq(system(command), 0);
}

TestSuite(paths, .init = begin, .fini = end);

static int open_home(void) {
    int fd = open(home, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    cr_assert_geq(fd, 0);
    return fd;
}

Test(paths, defaults_are_made_and_private) {
    struct err e = {0};
    struct paths p;
    char want[PATH_MAX];
    struct stat st;
    (void) umask(0);
    cr_assert_eq(paths_find(&p, &e), 0, "%s", e.text);
    (void) snprintf(want, sizeof(want), "%s/.local/state/banger", home);
    cr_expect_str_eq(p.state, want);
    cr_assert_eq(stat(p.state, &st), 0);
    cr_expect_eq(st.st_mode & 0777, 0700);
    cr_assert_eq(chmod(p.state, 0755), 0);
    cr_assert_eq(paths_find(&p, &e), 0);
    cr_assert_eq(stat(p.state, &st), 0);
    cr_expect_eq(st.st_mode & 0777, 0700);
}

Test(paths, variables_move_them_and_relative_ones_are_ignored) {
    struct err e = {0};
    struct paths p;
    char want[PATH_MAX];
    (void) snprintf(want, sizeof(want), "%s/elsewhere", home);
    cr_assert_eq(setenv("XDG_STATE_HOME", want, 1), 0);
    cr_assert_eq(setenv("XDG_CACHE_HOME", "relative", 1), 0);
    cr_assert_eq(paths_find(&p, &e), 0, "%s", e.text);
    strcat(want, "/banger");
    cr_expect_str_eq(p.state, want);
    (void) snprintf(want, sizeof(want), "%s/.cache/banger", home);
    cr_expect_str_eq(p.cache, want);
}

Test(paths, a_home_that_cannot_be_written_names_the_variable) {
    struct err e = {0};
    struct paths p;
    /* /proc takes no folders, whoever asks. */
    cr_assert_eq(setenv("XDG_STATE_HOME", "/proc/none", 1), 0);
    cr_expect_lt(paths_find(&p, &e), 0);
    cr_expect(strstr(e.text, "set XDG_STATE_HOME to a folder that this account can write"), "%s", e.text);
}

Test(paths, sockets_in_a_folder_with_a_long_name) {
    char name[200];
    memset(name, 'x', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    int parent = open_home();
    int folder = folder_open(parent, name);
    cr_assert_geq(folder, 0);
    int path = openat(parent, name, O_PATH | O_DIRECTORY | O_CLOEXEC); /* as the monitor opens it */
    int listener = paths_listen(path, "a.sock");
    cr_assert_geq(listener, 0, "%s", strerror(-listener));
    int again = paths_listen(path, "a.sock"); /* a stale socket is no obstacle */
    cr_assert_geq(again, 0);
    int client = paths_connect(path, "a.sock");
    cr_assert_geq(client, 0, "%s", strerror(-client));
    int server = accept(again, NULL, NULL);
    cr_assert_geq(server, 0);
    cr_assert_eq(write(client, "hi", 2), 2);
    char got[2];
    cr_assert_eq(read(server, got, 2), 2);
    struct stat st;
    cr_assert_eq(fstatat(folder, "a.sock", &st, 0), 0);
    cr_expect_eq(st.st_mode & 0777, 0600);
    /* A link to a socket elsewhere is not followed: the engine may write here. */
    cr_assert_eq(symlinkat("a.sock", folder, "b.sock"), 0);
    cr_expect_eq(paths_connect(path, "b.sock"), -ENOTSOCK);
    cr_expect_eq(paths_connect(path, "c.sock"), -ENOENT);
}

static void put(int folder, const char *name, const char *text) {
    int fd = openat(folder, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    cr_assert_geq(fd, 0);
    cr_assert_eq(write(fd, text, strlen(text)), (ssize_t) strlen(text));
    (void) close(fd);
}

static void expect(int parent, const char *name, const char *text) {
    char got[32] = "";
    int fd = openat(parent, name, O_RDONLY | O_CLOEXEC);
    cr_assert_geq(fd, 0, "%s: %s", name, strerror(errno));
    cr_assert_geq(read(fd, got, sizeof(got) - 1), 0);
    (void) close(fd);
    cr_expect_str_eq(got, text);
}

static int known(const char *name, void *arg) {
    return strcmp(name, arg) == 0;
}

Test(paths, folders_appear_whole_and_replace_whole) {
    int parent = open_home();
    int one = folder_begin(parent, "id");
    cr_assert_geq(one, 0);
    cr_expect_eq(folder_begin(parent, "id"), -EEXIST);
    put(one, "f", "one");
    cr_assert_eq(folder_commit(parent, "id"), 0);
    expect(parent, "id/f", "one");
    int two = folder_begin(parent, "id");
    put(two, "f", "two");
    cr_assert_eq(folder_commit(parent, "id"), 0);
    expect(parent, "id/f", "two");
    cr_expect_lt(faccessat(one, "f", F_OK, 0), 0); /* the old one is gone, and so is its other name */
    cr_expect_lt(faccessat(parent, "id.tmp", F_OK, 0), 0);
}

Test(paths, sweep_removes_the_rest_however_deep_and_locked) {
    int parent = open_home();
    int keep = folder_open(parent, "keep");
    put(keep, "f", "x");
    int at = folder_open(parent, "gone");
    for (int i = 0; i < 3000; i++) { /* deeper than PATH_MAX, deeper than a stack likes */
        int next = folder_open(at, "d");
        cr_assert_geq(next, 0);
        put(at, "f", "x");
        cr_assert_eq(symlinkat("/", at, "l"), 0);
        if (i % 7 == 0)
            cr_assert_eq(fchmod(at, 0), 0);
        (void) close(at);
        at = next;
    }
    (void) close(at);
    char name[] = "keep";
    int removed = folder_sweep(parent, known, name);
    cr_expect_eq(removed, 1, "%d", removed);
    cr_expect_lt(faccessat(parent, "gone", F_OK, AT_SYMLINK_NOFOLLOW), 0);
    expect(parent, "keep/f", "x");
    cr_expect_eq(folder_remove(parent, "missing"), 0);
}
