/* The command line, the log, and the loop. */
#include "fake.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define EXIT_ARGUMENTS 153
#define POLLS_MAX      128

static const char *api_sock = "/run/firecracker.socket";
static int log_to = 1;
static int log_level = 3; /* Info */

long long now_ms(void) {
    struct timespec t;
    (void) clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000LL + t.tv_nsec / 1000000;
}

static int level_of(const char *word) {
    static const char *const words[] = {"Off", "Error", "Warn", "Info", "Debug", "Trace"};
    for (int i = 0; i < 6; i++)
        if (strcasecmp(word, words[i]) == 0)
            return i;
    return strcasecmp(word, "Warning") == 0 ? 2 : -1;
}

void fake_log(const char *level, const char *what, ...) {
    char text[2048], line[2200], when[32];
    time_t now = time(NULL);
    struct tm parts;
    va_list list;
    if (level_of(level) > log_level)
        return;
    va_start(list, what);
    (void) vsnprintf(text, sizeof(text), what, list);
    va_end(list);
    (void) strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%S", gmtime_r(&now, &parts));
    int n = snprintf(line, sizeof(line), "%s.000000000 [%s:main:%s] %s\n", when, guest.id, level, text);
    (void) !write(log_to, line, (size_t) n);
}

static void bad(const char *what, const char *word) {
    (void) fprintf(stderr, "Arguments parsing error: %s '%s'.\n", what, word);
    exit(EXIT_ARGUMENTS);
}

static void use(const char *name, const char *value) {
    if (strcmp(name, "--api-sock") == 0)
        api_sock = value;
    if (strcmp(name, "--id") == 0) {
        size_t size = strlen(value);
        if (size < 1 || size > 64 ||
            strspn(value, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-") != size)
            abort(); /* a panic */
        (void) snprintf(guest.id, sizeof(guest.id), "%s", value);
    }
    if (strcmp(name, "--level") == 0 && (log_level = level_of(value)) < 0)
        exit(152);
    if (strcmp(name, "--log-path") == 0) {
        log_to = open(value, O_RDWR | O_CREAT | O_NONBLOCK | O_CLOEXEC, 0644);
        if (log_to < 0) {
            (void) fprintf(stderr, "cannot open %s: %s\n", value, strerror(errno));
            exit(1);
        }
    }
}

/* "--name value" and flags; each at most once. */
static void arguments(int argc, char **argv) {
    static const char *const valued[] = {"--api-sock",
                                         "--id",
                                         "--log-path",
                                         "--level",
                                         "--module",
                                         "--metrics-path",
                                         "--http-api-max-payload-size",
                                         "--mmds-size-limit",
                                         NULL};
    static const char *const flags[] = {"--show-level", "--show-log-origin", "--boot-timer", "--enable-pci", NULL};
    for (int i = 1; i < argc; i++) {
        const char *const *of = valued;
        for (int j = 1; j < i; j++)
            if (strcmp(argv[i], argv[j]) == 0 && argv[i][0] == '-')
                bad("The argument was provided more than once:", argv[i]);
        while (*of && strcmp(*of, argv[i]) != 0)
            of++;
        if (*of && i + 1 == argc)
            bad("The argument requires a value, but none was supplied:", argv[i]);
        if (*of) {
            use(argv[i], argv[i + 1]);
            i++;
            continue;
        }
        for (of = flags; *of && strcmp(*of, argv[i]) != 0;)
            of++;
        if (!*of)
            bad("Found argument which wasn't expected, or isn't valid in this context:", argv[i]);
    }
}

void behaviour_read(struct behaviour *b) {
    char word[64], value[64];
    *b = (struct behaviour){.version = "1.16.1", .split = 1 << 20, .cut = -1};
    FILE *file = fopen(FAKE_BEHAVIOUR, "re");
    while (file && fscanf(file, "%63s %63s", word, value) == 2) {
        if (strcmp(word, "version") == 0)
            (void) snprintf(b->version, sizeof(b->version), "%.31s", value);
        if (strcmp(word, "at") == 0)
            (void) snprintf(b->at, sizeof(b->at), "%s", value);
        if (strcmp(word, "delay") == 0)
            b->delay = atoi(value);
        if (strcmp(word, "split") == 0)
            b->split = atoi(value);
        if (strcmp(word, "cut") == 0)
            b->cut = atoi(value);
        if (strcmp(word, "refuse") == 0)
            b->refuse = atoi(value);
    }
    if (file)
        (void) fclose(file);
}

int main(int argc, char **argv) {
    static struct pollfd list[POLLS_MAX];
    (void) signal(SIGPIPE, SIG_IGN);
    (void) snprintf(guest.id, sizeof(guest.id), "anonymous-instance");
    arguments(argc, argv);
    (void) snprintf(folder, sizeof(folder), "%s", api_sock);
    *strrchr(folder, '/') = '\0';
    fake_log("Info", "Running Firecracker v1.16.1 (a test's)");
    http_listen(api_sock);
    for (;;) {
        size_t http = http_poll(list);
        size_t qemu = http + guest_poll(list + http);
        size_t vhost = qemu + vhost_poll(list + qemu);
        size_t all = vhost + vsock_poll(list + vhost);
        if (poll(list, all, 100) < 0 && errno != EINTR)
            return 2;
        vsock_turn(list + vhost);
        vhost_turn(list + qemu);
        guest_turn(list + http);
        http_turn(list);
    }
}
