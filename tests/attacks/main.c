/* Runs the attacks, each in a process of its own, and looks what it left behind:
 *   attacks [--list] [LINE | LINE.NUMBER]...
 * Root, in a world of its own with the helper installed (run.sh). */
#include "attack.h"

#include <dirent.h>
#include <errno.h>
#include <net/if.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define LIMIT ((unsigned) patience(getenv("ATTACK_HASTE") ? 15 : 40)) /* seconds an attack may take */

int attack_failures(void);

static const struct attack *const tables[] = {
    argv_attacks,   start_attacks, process_attacks, wire_attacks, control_attacks, policy_attacks, words_attacks,
    rights_attacks, peer_attacks,  filter_attacks,  race_attacks, name_attacks,    guest_attacks,  jail_attacks};
static int passed, failed, skipped;

static int is_ours(const char *name) {
    return strncmp(name, "bgr", 3) == 0 || (strncmp(name, "bt", 2) == 0 && strlen(name) == 13);
}

/* An interface of an account that is still there after three seconds, or "". */
static const char *residue(void) {
    static char name[IFNAMSIZ];
    for (int i = patience(150); i > 0; i--, usleep(20000)) {
        struct if_nameindex *all = if_nameindex();
        name[0] = '\0';
        for (struct if_nameindex *each = all; each && each->if_index; each++) {
            if (is_ours(each->if_name))
                memcpy(name, each->if_name, strlen(each->if_name) + 1);
        }
        if_freenameindex(all);
        if (!name[0])
            break;
    }
    return name;
}

static void remove_residue(void) {
    (void) lab_try("for i in $(ip -o link | grep -oE '(bgr[0-9a-f]{8}|bt[0-9a-f]{11})\\b' | sort -u); do "
                   "ip link delete $i; done 2>/dev/null; nft delete table inet banger 2>/dev/null; "
                   "nft delete table bridge banger 2>/dev/null; true");
}

static void run(const struct attack *attack) {
    struct timespec from, to;
    lab_policy(POLICY);
    clock_gettime(CLOCK_MONOTONIC, &from);
    (void) fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        (void) prctl(PR_SET_PDEATHSIG, SIGKILL);
        (void) alarm(LIMIT);
        attack->run();
        (void) fflush(stdout);
        _exit(attack_failures() != 0);
    }
    int status = 0;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    while (waitpid(-1, NULL, WNOHANG) > 0)
        ;
    const char *left = residue();
    clock_gettime(CLOCK_MONOTONIC, &to);
    long ms = (to.tv_sec - from.tv_sec) * 1000 + (to.tv_nsec - from.tv_nsec) / 1000000;
    if (*left) {
        printf("    it left %s behind\n", left);
        remove_residue();
    }
    if (WIFSIGNALED(status))
        printf("    %s\n", WTERMSIG(status) == SIGALRM ? "it did not come to an end" : strsignal(WTERMSIG(status)));
    if (WIFEXITED(status) && WEXITSTATUS(status) == 77 && !*left) {
        skipped++;
        printf("SKIP %s: as said above\n", attack->name);
    } else if (WIFEXITED(status) && WEXITSTATUS(status) == 0 && !*left) {
        passed++;
        printf(getenv("ATTACK_TIMES") ? "ok %s (%ld ms)\n" : "ok %s\n", attack->name, ms);
    } else {
        failed++;
        printf("not ok %s\n", attack->name);
    }
    (void) fflush(stdout);
}

/* Whether an argument names the attack: its line ("17") or the one attack ("17.3"). */
static int is_wanted(const struct attack *attack, int argc, char **argv) {
    for (int i = 1; i < argc; i++) {
        size_t size = strlen(argv[i]);
        if (strncmp(attack->name, argv[i], size) == 0 && strchr(strchr(argv[i], '.') ? " " : ".", attack->name[size]))
            return 1;
    }
    return argc < 2;
}

int main(int argc, char **argv) {
    int list = argc > 1 && strcmp(argv[1], "--list") == 0;
    argc -= list;
    argv += list;
    (void) signal(SIGPIPE, SIG_IGN);
    (void) prctl(PR_SET_CHILD_SUBREAPER, 1); /* helpers that lost their parent are this one's to reap */
    for (size_t t = 0; t < sizeof(tables) / sizeof(tables[0]); t++) {
        for (const struct attack *attack = tables[t]; attack->name; attack++) {
            if (!is_wanted(attack, argc, argv))
                continue;
            if (list)
                printf("line %d: %s\n", atoi(attack->name), attack->name);
            else
                run(attack);
        }
    }
    if (!list)
        printf("%d passed, %d failed, %d skipped\n", passed, failed, skipped);
    return failed != 0;
}
