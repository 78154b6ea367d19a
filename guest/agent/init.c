#include "agent.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/reboot.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* Reaps for at most that long; 1 when no child is left. */
static int drain(long long milliseconds) {
    long long end = agent_now_ms() + milliseconds;
    for (;;) {
        pid_t pid = waitpid(-1, NULL, WNOHANG);
        if (pid < 0 && errno == ECHILD)
            return 1;
        if (pid > 0)
            continue;
        if (agent_now_ms() >= end)
            return 0;
        agent_sleep_ms(10);
    }
}

static int off_is_reset;

void agent_off_is_reset(void) {
    off_is_reset = 1;
}

int agent_resets(void) {
    return off_is_reset;
}

void agent_off(void) {
    (void) reboot(off_is_reset ? RB_AUTOBOOT : RB_POWER_OFF);
}

_Noreturn void agent_down(int how) {
    (void) kill(-1, SIGTERM);
    (void) kill(-1, SIGCONT);
    int others = getpid() != 1; /* then they are not all children, and cannot be waited for */
    if (others)
        agent_sleep_ms(1000);
    if (!drain(2000) || others) {
        (void) kill(-1, SIGKILL);
        (void) drain(1000);
    }
    sync();
    (void) umount2("/root", MNT_DETACH);
    (void) mount(NULL, "/", NULL, MS_REMOUNT | MS_RDONLY, NULL);
    sync();
    if (how == RB_POWER_OFF)
        agent_off();
    (void) reboot(how);
    for (;;)
        (void) pause();
}

/* systemd's signals, and those of the small inits' poweroff, halt and reboot programs. */
static void act(int number) {
    if (number == SIGRTMIN + 4 || number == SIGRTMIN + 3 || number == SIGUSR1 || number == SIGUSR2)
        agent_down(RB_POWER_OFF);
    if (number == SIGRTMIN + 5 || number == SIGTERM || number == SIGINT)
        agent_down(RB_AUTOBOOT);
}

/* What the image wants started at boot, where it has no init that would. */
static void boot_program(void) {
    static const char path[] = "/etc/banger/boot";
    if (access(path, X_OK) < 0 || fork() != 0)
        return;
    char *argv[] = {(char *) path, NULL};
    char *envp[] = {(char *) "HOME=/root", (char *) "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
                    NULL};
    (void) execve(path, argv, envp);
    agent_log("cannot run %s: %s", path, strerror(errno));
    _exit(127);
}

_Noreturn void agent_init(void) {
    sigset_t set;
    boot_program();
    (void) sigemptyset(&set);
    const int numbers[] = {SIGCHLD, SIGTERM, SIGINT, SIGUSR1, SIGUSR2, SIGRTMIN + 3, SIGRTMIN + 4, SIGRTMIN + 5};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        (void) sigaddset(&set, numbers[i]);
    (void) sigprocmask(SIG_SETMASK, &set, NULL);
    (void) prctl(PR_SET_NAME, "banger-init");
    (void) reboot(RB_DISABLE_CAD);
    for (;;) {
        siginfo_t info;
        int number = sigwaitinfo(&set, &info);
        while (waitpid(-1, NULL, WNOHANG) > 0)
            ;
        if (number > 0)
            act(number);
    }
}
