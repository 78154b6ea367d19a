/* Line 8: the policy's file. */
#include "attack.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define FILE_NAME "/etc/banger/policy.conf"

/* What a fresh helper and one that has served before say of the policy as it is now. */
static struct lab_helper old;
static void begin(void) {
    old = start(ALICE);
    if (ask_net(&old, WIRE_NET_LIST, 0, 0) != 0)
        give_up("control: the good policy does not allow");
}
static int now(void) {
    struct lab_helper fresh = start(ALICE);
    int a = ask_net(&fresh, WIRE_NET_LIST, 0, 0), b = ask_net(&old, WIRE_NET_LIST, 0, 0);
    lab_end(&fresh);
    expect(a == b, "a helper that read it before says %d, a new one %d", b, a);
    return a;
}
static void end(void) {
    lab_sh("rm -rf " FILE_NAME " && chown 0:0 /etc/banger && chmod 755 /etc/banger");
    lab_policy(POLICY);
    expect(now() == 0, "the good policy again does not allow");
    lab_end(&old);
}
/* The policy is as `make` left it: what is said is `wanted`. */
static void is(int wanted, const char *make) {
    begin();
    lab_sh("%s", make);
    int said = now();
    expect(said == wanted, "said %d, wanted %d: %s", said, wanted, make);
    end();
}
static void text_is(int wanted, const char *text, size_t size) {
    int fd = open(FILE_NAME, O_WRONLY | O_TRUNC | O_CLOEXEC);
    if (fd < 0 || write(fd, text, size) != (ssize_t) size)
        give_up("cannot write the policy");
    close(fd);
    int said = now();
    expect(said == wanted, "said %d, wanted %d: %.100s", said, wanted, text);
}

static void missing(void) {
    is(DENIED(POLICY_NO_FILE), "rm " FILE_NAME);
}
static void empty(void) {
    is(DENIED(POLICY_NOT_LISTED), ": > " FILE_NAME);
}
static void folder(void) {
    is(DENIED(POLICY_UNSAFE), "rm " FILE_NAME " && mkdir " FILE_NAME);
}
static void links(void) {
    is(DENIED(POLICY_UNSAFE), "mv " FILE_NAME " /etc/banger/p && ln -s p " FILE_NAME);
    is(DENIED(POLICY_UNSAFE), "mv /etc/banger/p " FILE_NAME "; ln -sf /proc/self/fd/0 " FILE_NAME);
    is(DENIED(POLICY_UNSAFE), "rm " FILE_NAME " && ln -s nowhere " FILE_NAME);
    lab_sh("rm -f /etc/banger/p");
}
/* A fifo and a device without a reader or a writer: no request waits for them. */
static void fifo(void) {
    is(DENIED(POLICY_UNSAFE), "rm " FILE_NAME " && mkfifo -m 644 " FILE_NAME);
    is(DENIED(POLICY_UNSAFE), "rm " FILE_NAME " && mknod -m 644 " FILE_NAME " c 1 5");
}
static void writable(void) {
    is(DENIED(POLICY_UNSAFE), "chmod 646 " FILE_NAME);
    is(DENIED(POLICY_UNSAFE), "chmod 664 " FILE_NAME);
    is(DENIED(POLICY_UNSAFE), "chmod 622 " FILE_NAME);
}
static void owner(void) {
    is(DENIED(POLICY_UNSAFE), "chown 61000 " FILE_NAME);
    is(DENIED(POLICY_UNSAFE), "chown 65534 " FILE_NAME);
}
/* Whoever can write the folder can replace the file. */
static void parent(void) {
    is(DENIED(POLICY_UNSAFE), "chown 61000 /etc/banger; touch " FILE_NAME);
    is(DENIED(POLICY_UNSAFE), "chmod 775 /etc/banger; touch " FILE_NAME);
    is(DENIED(POLICY_UNSAFE), "chmod 1777 /etc/banger; touch " FILE_NAME);
}
/* The folder itself is a link to the account's: what the vmm worker opens by path. */
static void folder_link(void) {
    lab_sh("install -d -o 61000 /etc/mine && cp " FILE_NAME " /etc/mine/ && mv /etc/banger /etc/banger.kept && "
           "ln -s mine /etc/banger");
    struct lab_helper h = start(ALICE);
    int net = ask_net(&h, WIRE_NET_LIST, 0, 0);
    struct wire_request rq = request(WIRE_VMM_SPAWN, 0, 0);
    rq.style = SPAWN_TRIAL;
    int fds[] = {0, 0, 0};
    int vmm = ask(&h, WIRE_VMM, &rq, fds, SPAWN_TRIAL_FDS);
    lab_sh("rm -r /etc/banger /etc/mine && mv /etc/banger.kept /etc/banger");
    expect(net == DENIED(POLICY_UNSAFE), "the net worker says %d", net);
    expect(vmm == DENIED(POLICY_UNSAFE), "the vmm worker says %d", vmm);
    lab_end(&h);
}

static void sizes(void) {
    static char text[POLICY_BYTES_MAX + 2];
    begin();
    memset(text, '\n', sizeof(text));
    memcpy(text, POLICY, sizeof(POLICY) - 1);
    text_is(0, text, POLICY_BYTES_MAX);
    text_is(DENIED(POLICY_UNSAFE), text, POLICY_BYTES_MAX + 1);
    lab_policy(POLICY);
    lab_sh("truncate -s 1G " FILE_NAME);
    expect(now() == DENIED(POLICY_UNSAFE), "1 GiB with the good one in front is trusted");
    memset(text, 'x', sizeof(text));
    memcpy(text, POLICY "#", sizeof(POLICY));
    text_is(0, text, sizeof(POLICY) - 1 + POLICY_LINE_MAX);
    text_is(DENIED(POLICY_BAD_LINE), text, sizeof(POLICY) + POLICY_LINE_MAX + 1);
    end();
}
#define TEXT(wanted, text) text_is(wanted, text, sizeof(text) - 1)
static void line_ends(void) {
    begin();
    TEXT(0, RULES "allow gid 61999");
    TEXT(DENIED(POLICY_BAD_LINE), ALLOW RULES "nat no"); /* the last line counts, without its end too */
    TEXT(DENIED(POLICY_BAD_LINE), RULES "allow gid 61999\r\n");
    TEXT(DENIED(POLICY_BAD_LINE), "allow gid 61999\r" RULES);
    TEXT(0, "\n\n \t\n# x\n" RULES "  allow\tgid  61999 # y\n");
    end();
}
static void zeros(void) {
    begin();
    TEXT(DENIED(POLICY_BAD_LINE), POLICY "\0");
    TEXT(DENIED(POLICY_BAD_LINE), RULES "allow gid 61999\0# 1\n");
    TEXT(DENIED(POLICY_BAD_LINE), "\0" POLICY);
    TEXT(DENIED(POLICY_BAD_LINE), POLICY "# \033[2K\n");
    end();
}
static void contradictions(void) {
    begin();
    TEXT(DENIED(POLICY_DENIED), POLICY "deny uid 61000\n");
    TEXT(DENIED(POLICY_DENIED), "deny uid 61000\n" POLICY "allow uid 61000\n");
    TEXT(DENIED(POLICY_DENIED), "deny gid 61999\n" POLICY "allow uid 61000\n");
    TEXT(0, POLICY "deny uid 61001\n");
    TEXT(0, POLICY ALLOW ALLOW "allow uid 61000\n");
    end();
}
static void overlaps(void) {
    begin();
    TEXT(DENIED(POLICY_BAD_LINE), POLICY "pool 172.20.0.0/16 70000\n");
    TEXT(DENIED(POLICY_BAD_LINE), POLICY "subnet 10.9.0.0/22 uid 61000\n");
    TEXT(DENIED(POLICY_BAD_LINE), POLICY "subnet 127.0.0.0/22 uid 99000\n");
    TEXT(DENIED(POLICY_BAD_LINE), POLICY "subnet 169.254.0.0/22 uid 99000\n");
    TEXT(DENIED(POLICY_BAD_LINE), POLICY "subnet 224.0.0.0/22 uid 99000\n");
    TEXT(DENIED(POLICY_BAD_LINE), POLICY "subnet 10.9.0.1/22 uid 99000\n");
    end();
}
static void includes(void) {
    static const char *const words[] = {"include /etc/banger/policy.conf\n", ".include /tmp/x\n", "@include x\n",
                                        "#include x\n", "source /tmp/x\n"};
    begin();
    for (size_t i = 0; i < 5; i++) {
        char text[1024];
        int n = snprintf(text, sizeof(text), POLICY "%s", words[i]);
        text_is(words[i][0] == '#' ? 0 : DENIED(POLICY_BAD_LINE), text, (size_t) n);
    }
    end();
}

/* Written in place with the same size, and the time of its last change put back: it still counts. */
static void hidden_change(void) {
    static const char text[] = POLICY "deny uid 61000\n";
    begin();
    TEXT(0, POLICY "deny uid 61001\n");
    lab_sh("touch -r " FILE_NAME " /etc/banger/when");
    int fd = open(FILE_NAME, O_WRONLY | O_CLOEXEC);
    expect(write(fd, text, sizeof(text) - 1) == (ssize_t) sizeof(text) - 1, "control: it cannot be written");
    close(fd);
    lab_sh("touch -r /etc/banger/when " FILE_NAME " && rm /etc/banger/when");
    expect(now() == DENIED(POLICY_DENIED), "a change with the old time does not count");
    end();
}

static void replace_for_ever(void) {
    static const char *const texts[] = {ALLOW RULES, "deny uid 61000\n" ALLOW RULES};
    for (unsigned i = 0;; i++) {
        const char *text = texts[i % 2];
        int fd = open("/etc/banger/x", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
        if (fd < 0 || write(fd, text, strlen(text)) < 0 || close(fd) || rename("/etc/banger/x", FILE_NAME))
            _exit(1);
    }
}

/* Replaced as often as possible while it is asked: each answer is of one of the two. */
static void replaced(void) {
    pid_t pid = fork();
    if (pid == 0) {
        (void) prctl(PR_SET_PDEATHSIG, SIGKILL);
        replace_for_ever();
    }
    struct lab_helper h = start(ALICE);
    int allowed = 0, denied = 0, other = 0;
    for (int i = 0; i < 4000 && (i < 1500 || allowed == 0 || denied == 0); i++) {
        int r = ask_net(&h, WIRE_NET_LIST, 0, 0);
        allowed += r == 0;
        denied += r == DENIED(POLICY_DENIED);
        other += r != 0 && r != DENIED(POLICY_DENIED);
    }
    (void) kill(pid, SIGKILL);
    (void) waitpid(pid, NULL, 0);
    expect(allowed > 0 && denied > 0, "control: allowed %d, denied %d", allowed, denied);
    expect(other == 0, "%d answers are of neither policy", other);
    lab_end(&h);
    usleep(50000);
    lab_sh("rm -f /etc/banger/x " FILE_NAME);
}

const struct attack policy_attacks[] = {
    {"8.1 no file", missing},
    {"8.2 an empty file", empty},
    {"8.3 a folder in its place", folder},
    {"8.4 a link in its place, also to nowhere and into /proc", links},
    {"8.5 a fifo or a device in its place: nothing waits", fifo},
    {"8.6 writable by group or others", writable},
    {"8.7 another owner", owner},
    {"8.8 a folder that others own or can write, sticky or not", parent},
    {"8.9 64 KiB and a byte, 1 GiB, a line of 1,025 bytes", sizes},
    {"8.10 no newline at the end, and Windows' and old Macs' line ends", line_ends},
    {"8.11 zero bytes and control bytes", zeros},
    {"8.12 contradictions: deny wins, wherever it stands", contradictions},
    {"8.13 subnets and uids that overlap, or are no addresses for guests", overlaps},
    {"8.14 include lines", includes},
    {"8.15 changed with the old size and times", hidden_change},
    {"8.16 replaced over and over while it is read", replaced},
    {"19.1 the policy's folder is a link to the account's", folder_link},
    {NULL, NULL}};
