/* Lines 1 and 2: what an exec hands over as arguments and environment. */
#include "attack.h"
#include "trace.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

extern char **environ;

static char **arguments, **environment;
static void with_arguments(void) {
    (void) execve(LAB_HELPER, arguments, environment ? environment : environ);
    _exit(2);
}
#define ARGV(...) (arguments = (char *[]){__VA_ARGS__ __VA_OPT__(, ) NULL})
#define TEXT(t)   ((char[]){t})

/* The engine is gone when the helper is started: it complains, and that is what is looked at. */
static void without_sockets(void) {
    for (int fd = WIRE_FD_FIRST; fd < WIRE_FD_FIRST + WIRE_WORKERS; fd++)
        close(fd);
    with_arguments();
}

static int complains(void) {
    char said[4096] = "";
    struct lab_helper h = lab_start(LAB_HELPER, ALICE, 1, without_sockets);
    lab_errors(&h, said, sizeof(said));
    int good = strncmp(said, "banger-helper: it ", 18) == 0 && strchr(said, '\n') == said + strlen(said) - 1;
    for (const char *c = said; *c; c++)
        good &= *c == '\n' || (*c >= ' ' && *c <= '~');
    if (!good)
        printf("    it said: %.200s\n", said);
    return good;
}

static void no_arguments_at_all(void) {
    environment = (char *[]){TEXT("--version"), NULL};
    ARGV();
    expect(complains(), "with argc 0 it does not speak for itself");
    expect(serves(ALICE, with_arguments), "with argc 0 it does not serve");
}

static void strange_names(void) {
    static char big[128 * 1024 - 1];
    memset(big, 'A', sizeof(big) - 1);
    char *names[] = {TEXT(""), TEXT("-sh"), TEXT("x\n\033]0;x\007banger-helper: all is well"), TEXT("\xe2\x80\xae%s%n"),
                     big};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        ARGV(names[i]);
        expect(complains(), "the name number %zu is in what it says", i);
        expect(serves(ALICE, with_arguments), "with the name number %zu it does not serve", i);
    }
}

static void refused_arguments(char **argv) {
    arguments = argv;
    expect(refuses(LAB_HELPER, ALICE, with_arguments, "it takes no arguments"), "it takes %s", argv[1]);
}

static void after_dashes(void) {
    refused_arguments((char *[]){TEXT("h"), TEXT("--"), TEXT("--version"), NULL});
    refused_arguments((char *[]){TEXT("h"), TEXT("--"), NULL});
    refused_arguments((char *[]){TEXT("h"), TEXT(""), NULL});
    refused_arguments((char *[]){TEXT("h"), TEXT("--help"), NULL});
    refused_arguments((char *[]){TEXT("h"), TEXT("--versio"), NULL});
    refused_arguments((char *[]){TEXT("h"), TEXT("--version "), NULL});
}

static void many_arguments(void) {
    static char *many[20002];
    for (size_t i = 0; i < 20001; i++)
        many[i] = TEXT("--version");
    refused_arguments(many);
    many[3] = NULL;
    refused_arguments(many);
}

/* Whatever worker were taken: it cannot become another program. */
static void no_exec(void) {
    for (int w = -1; w <= WIRE_DISK; w++) {
        struct lab_helper h = start_ready(ALICE);
        pid_t workers[WIRE_WORKERS];
        long result = 0;
        workers_of(&h, workers);
        expect(inject(w < 0 ? h.pid : workers[w], SYS_execve, (unsigned long long[6]){0}, &result) == SIGSYS,
               "process %d may call execve (%ld)", w, result);
        lab_end(&h);
    }
}

static void by_hand(void) {
    arguments = (char *[]){TEXT("banger-helper"), NULL};
    expect(refuses(LAB_HELPER, ALICE, without_sockets, "nothing to do for it by hand"), "it starts without sockets");
}

const struct attack argv_attacks[] = {
    {"1.1 argc is 0, and the environment looks like arguments", no_arguments_at_all},
    {"1.2 argv[0] empty, a login shell's, 128 KiB, or control bytes for a terminal", strange_names},
    {"1.3 arguments, also after --, and almost right ones", after_dashes},
    {"1.4 20,000 arguments and repeated ones", many_arguments},
    {"1.5 a worker or the parent becomes another program", no_exec},
    {"1.6 started by hand, without the engine's sockets", by_hand},
    {NULL, NULL}};
