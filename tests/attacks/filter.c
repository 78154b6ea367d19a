/* Line 28: the filters, and calls that fail. */
#include "attack.h"
#include "trace.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define NAMED(call)                                                                                                    \
    { #call, SYS_##call }
/* What no process of the helper needs once it serves; the vmm worker's child is another matter. */
static const struct call {
    const char *name;
    int number;
} never[] = {NAMED(ptrace),
             NAMED(process_vm_readv),
             NAMED(process_vm_writev),
             NAMED(bpf),
             NAMED(init_module),
             NAMED(finit_module),
             NAMED(delete_module),
             NAMED(kexec_load),
             NAMED(kexec_file_load),
             NAMED(open_by_handle_at),
             NAMED(name_to_handle_at),
             NAMED(userfaultfd),
             NAMED(io_uring_setup),
             NAMED(perf_event_open),
             NAMED(keyctl),
             NAMED(add_key),
             NAMED(request_key),
             NAMED(setns),
             NAMED(chroot),
             NAMED(swapon),
             NAMED(swapoff),
             NAMED(reboot),
             NAMED(settimeofday),
             NAMED(clock_settime),
             NAMED(iopl),
             NAMED(ioperm),
             NAMED(acct),
             NAMED(quotactl),
             NAMED(personality),
             NAMED(setuid),
             NAMED(setresuid),
             NAMED(setgroups),
             NAMED(pidfd_getfd),
             NAMED(fanotify_init),
             NAMED(syslog),
             NAMED(lookup_dcookie),
             NAMED(vmsplice),
             NAMED(mbind),
             NAMED(chmod),
             NAMED(chown),
             NAMED(fchmodat),
             NAMED(truncate),
             NAMED(link),
             NAMED(rename)};
/* Nor the parent, net and disk workers these. */
static const struct call not_confined[] = {
    NAMED(execve),   NAMED(execveat),  NAMED(fork),       NAMED(vfork),   NAMED(clone), NAMED(clone3),
    NAMED(mount),    NAMED(umount2),   NAMED(pivot_root), NAMED(unshare), NAMED(kill),  NAMED(socket),
    NAMED(mprotect), NAMED(setrlimit), NAMED(prctl),      NAMED(connect), NAMED(bind),  NAMED(listen),
    NAMED(seccomp),  NAMED(open_tree), NAMED(move_mount)};

static struct lab_helper h;
static pid_t all[WIRE_WORKERS + 1];
static const char *const who[] = {"the parent", "the net worker", "the disk worker", "the vmm worker"};
static void begin(void) {
    h = start_ready(ALICE);
    all[0] = h.pid;
    workers_of(&h, all + 1);
    if (filtered(all[0], AUDIT_ARCH_X86_64, SYS_read, NULL) < 0)
        skip("the kernel does not show filters here (CONFIG_CHECKPOINT_RESTORE)");
}
static int allows(pid_t pid, int number) {
    return (filtered(pid, AUDIT_ARCH_X86_64, number, NULL) & SECCOMP_RET_ACTION_FULL) == SECCOMP_RET_ALLOW;
}

static void dangerous(void) {
    begin();
    for (int i = 0; i <= WIRE_WORKERS; i++) {
        for (size_t c = 0; c < sizeof(never) / sizeof(never[0]); c++)
            expect(!allows(all[i], never[c].number), "%s may call %s", who[i], never[c].name);
        for (size_t c = 0; i != 1 + WIRE_VMM && c < sizeof(not_confined) / sizeof(not_confined[0]); c++)
            expect(!allows(all[i], not_confined[c].number), "%s may call %s", who[i], not_confined[c].name);
        expect(allows(all[i], SYS_poll) || allows(all[i], SYS_ppoll), "control: %s may not wait", who[i]);
    }
    lab_end(&h);
}
static void few(void) {
    begin();
    for (int i = 0; i <= WIRE_WORKERS; i++) {
        int count = 0;
        for (int number = 0; number < 1024; number++)
            count += allows(all[i], number);
        expect(count <= (i == 1 + WIRE_VMM ? 160 : 25), "%s may make %d calls", who[i], count);
        expect(count > 5, "control: %s may make only %d", who[i], count);
    }
    lab_end(&h);
}
/* The same numbers mean other calls to other entries of the kernel. */
static void other_entries(void) {
    begin();
    for (int i = 0; i <= WIRE_WORKERS; i++) {
        for (int number = 0; number < 600; number++) {
            long long i386 = filtered(all[i], AUDIT_ARCH_I386, number, NULL) & SECCOMP_RET_ACTION_FULL;
            long long x32 = filtered(all[i], AUDIT_ARCH_X86_64, 0x40000000 | number, NULL) & SECCOMP_RET_ACTION_FULL;
            expect(i386 != SECCOMP_RET_ALLOW, "%s may make call %d of i386", who[i], number);
            expect(x32 != SECCOMP_RET_ALLOW, "%s may make call %d of x32", who[i], number);
        }
    }
    lab_end(&h);
}

/* Not only as the filter reads: the process is killed, and the helper ends with it. */
static void killed(void) {
    static const struct call calls[] = {NAMED(ptrace), NAMED(socket), NAMED(bpf), NAMED(setns),
                                        NAMED(open_by_handle_at)};
    for (size_t c = 0; c < sizeof(calls) / sizeof(calls[0]); c++) {
        for (int i = 0; i < 1 + WIRE_VMM; i++) {
            static const unsigned long long none[6] = {0};
            long result = 0;
            h = start_ready(ALICE);
            all[0] = h.pid;
            workers_of(&h, all + 1);
            int signal = inject(all[i], calls[c].number, none, &result);
            expect(signal == SIGSYS, "%s: %s gives %ld (signal %d)", who[i], calls[c].name, result, signal);
            expect(is_closed(h.net, 2000) && is_closed(h.disk, 2000) && is_closed(h.vmm, 2000), "the others go on");
            lab_end(&h);
        }
    }
}
static void refused(void) {
    static const struct call calls[] = {NAMED(ptrace), NAMED(bpf), NAMED(setns), NAMED(socket)};
    for (size_t c = 0; c < sizeof(calls) / sizeof(calls[0]); c++) {
        static const unsigned long long none[6] = {0};
        long result = 0;
        h = start_ready(ALICE);
        workers_of(&h, all + 1);
        int signal = inject(all[1 + WIRE_VMM], calls[c].number, none, &result);
        expect(signal == SIGSYS || (signal == 0 && result == -EPERM), "the vmm worker: %s gives %ld", calls[c].name,
               result);
        lab_end(&h);
    }
}

/* Each call that the net worker may make fails in turn, from the start on: nothing is left. */
static int failing;
static void fail_one(void) {
    struct sock_filter f[] = {BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
                              BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned) failing, 0, 1),
                              BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
                              BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
    struct sock_fprog program = {.len = 4, .filter = f};
    /* With CAP_SYS_ADMIN and so without no_new_privs, then the account's for good. */
    if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) || setresgid(ALICE, ALICE, ALICE) ||
        setresuid(ALICE, ALICE, ALICE))
        _exit(2);
}
static void calls_fail(void) {
    int allowed[64], count = 0, answers = 0;
    begin();
    for (int number = 0; number < 512 && count < 64; number++) {
        if (allows(all[1 + WIRE_NET], number) && number != SYS_exit_group)
            allowed[count++] = number;
    }
    lab_end(&h);
    for (int i = 0; i < count; i++) {
        failing = allowed[i];
        h = lab_start(LAB_HELPER, 0, 1, fail_one);
        int r = ask_net(&h, WIRE_NET_UP, 0, 0);
        answers += r != GONE;
        if (r == 0)
            (void) ask_net(&h, WIRE_NET_DOWN, 0, 0);
        close(h.net);
        close(h.disk);
        close(h.vmm);
        (void) kill(h.pid, SIGKILL); /* where its end cannot be waited for by itself */
        (void) is_closed(h.errors, 2000);
        (void) kill(h.pid, SIGCONT);
        close(h.errors);
        expect(interface_goes(tap(ALICE, 0)), "without call %d a tap is left", failing);
    }
    clean(ALICE);
    expect(count > 10 && answers > 0, "control: %d calls, %d answers", count, answers);
}

const struct attack filter_attacks[] = {{"28.1 calls that no process of the helper needs", dangerous},
                                        {"28.2 more than 25 calls for the parent, net and disk workers", few},
                                        {"28.3 calls by the i386 and the x32 entry", other_entries},
                                        {"28.4 a forbidden call kills the process, and the helper with it", killed},
                                        {"28.5 a forbidden call of the vmm worker is refused", refused},
                                        {"28.6 each call that the net worker may make is refused to it", calls_fail},
                                        {NULL, NULL}};
