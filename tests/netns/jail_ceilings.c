/* What bangerd's monitor does with a delegated cgroup (unpriv/daemon/cgroup.c), and what
 * its ceilings do to a VMM that takes all it can get. */
#include "../../common/io.h"
#include "../../unpriv/daemon/cgroup.h"
#include "../../unpriv/vmm/args.h"
#include "jail_world.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define HOG_SLOT 12

static char base[300];

static const char *read_in(const char *name, char text[512]) {
    char path[400];
    snprintf(path, sizeof(path), "%s/%s", base, name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? 0 : read(fd, text, 511);
    if (fd >= 0)
        close(fd);
    text[n > 0 ? n : 0] = '\0';
    text[strcspn(text, "\n")] = n > 0 && strchr(text, ' ') ? '\n' : '\0';
    return text;
}

static int write_to(const char *folder, const char *name, const char *text) {
    char path[400];
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    int good = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t) strlen(text);
    close(fd);
    return good;
}

/* Starts jail_hog in a cgroup with the ceilings of a VM of 256 MiB. */
static void start_hog(struct vm *vm, const char *what) {
    struct jail_args args;
    struct wire_reply reply;
    vm_prepare(vm, HOG_SLOT);
    close(vm->fds[SPAWN_ARGS]);
    vmm_args_start(&args);
    vmm_args_add(&args, what);
    vm->fds[SPAWN_ARGS] = vmm_args_seal(&args, NULL);
    vm->cgroup = cgroup_vm(HOG_SLOT, 256, 2);
    vm_spawn(vm, 3, &reply);
    check(vm->pidfd >= 0, "ceilings: a VMM starts in its cgroup", "descriptor %d verdict %u error %d step %x",
          vm->cgroup, reply.verdict, reply.error, reply.step);
}

static void values(void) {
    static const struct {
        const char *name, *value;
    } wanted[] = {
        {"memory.max", "603979776"}, /* 256 + 320 MiB */
        {"memory.oom.group", "1"},
        {"pids.max", "130"},
    };
    char path[64], text[512];
    int fd = cgroup_vm(HOG_SLOT, 256, 2);
    check(fd >= 0, "ceilings: a VM's cgroup is made", "%s", strerror(-fd));
    close(fd);
    uint64_t cpu = 0, memory = 0;
    check(cgroup_vm_usage(HOG_SLOT, &cpu, &memory) == -ESRCH, "ceilings: it counts nothing while nothing is in it",
          "it does");
    for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
        char name[80];
        snprintf(path, sizeof(path), "vm-%03x/%s", HOG_SLOT, wanted[i].name);
        snprintf(name, sizeof(name), "ceilings: %s is %s", wanted[i].name, wanted[i].value);
        check(strcmp(read_in(path, text), wanted[i].value) == 0, name, "it is %s", text);
    }
    snprintf(path, sizeof(path), "vm-%03x/memory.swap.max", HOG_SLOT);
    if (*read_in(path, text))
        check(strcmp(text, "0") == 0, "ceilings: no swap", "it is %s", text);
    else
        skip("ceilings: no swap", "this kernel has no swap accounting");
}

static void memory(void) {
    struct vm vm;
    char path[64], text[512];
    start_hog(&vm, "memory");
    check(io_wait(vm.pidfd, POLLIN, 60000) == 0, "ceilings: who takes too much memory is ended", "it lives; %s",
          vm_read(&vm, "console"));
    check(!strstr(vm_read(&vm, "console"), "no more after") && strstr(vm_read(&vm, "console"), "\n448 MiB\n") &&
              !strstr(vm_read(&vm, "console"), "\n592 MiB\n"),
          "ceilings: at the ceiling, not before", "%s", vm_read(&vm, "console"));
    snprintf(path, sizeof(path), "vm-%03x/memory.events", HOG_SLOT);
    check(strstr(read_in(path, text), "oom_group_kill 1") != NULL, "ceilings: its whole jail at once", "%s", text);
    struct wire_reply reply;
    struct wire_request list = {.op = WIRE_NET_LIST};
    (void) ask(WIRE_NET, &list, NULL, &reply);
    check(reply.verdict == WIRE_DONE, "ceilings: and nobody else: the helper answers", "verdict %u", reply.verdict);
    vm_end(&vm);
    close(vm.cgroup);
}

static void tasks(void) {
    struct vm vm;
    int count = 0;
    start_hog(&vm, "tasks");
    int status = vm_wait(&vm, 30000);
    check(status == W_EXITCODE(3, 0), "ceilings: who forks without end goes on alone", "status %x", status);
    (void) sscanf(vm_read(&vm, "console"), "%d tasks", &count);
    check(count == 128, "ceilings: pids.max counts it and its jail", "%s", vm_read(&vm, "console"));
    vm_end(&vm);
    close(vm.cgroup);
}

static void lifetimes(void) {
    struct vm vm;
    struct stat st;
    char path[400], text[512];
    int fd = cgroup_vm(1, 64, 1);
    check(fd >= 0 && fstat(fd, &st) == 0 && st.st_uid == world.uid, "ceilings: another VM's is beside it", "%s",
          strerror(-fd));
    close(fd);
    snprintf(path, sizeof(path), "%s/vm-001", base);
    cgroup_vm_end(1);
    check(stat(path, &st) != 0, "ceilings: it goes with its VM", "it is there");
    vm_prepare_named(&vm, 7);
    struct wire_reply reply;
    vm.cgroup = cgroup_vm(7, 256, 1);
    vm_spawn(&vm, 2, &reply);
    (void) vm_shows(&vm, "console", "waits for the host\n", 20000);
    uint64_t cpu = 0, memory = 0;
    check(cgroup_vm_usage(7, &cpu, &memory) == 0 && cpu > 0 && memory > 0, "ceilings: it counts what its VM uses",
          "%llu us, %llu bytes", (unsigned long long) cpu, (unsigned long long) memory);
    cgroup_vm_end(7);
    fd = cgroup_vm(7, 512, 1);
    check(fd >= 0 && strcmp(read_in("vm-007/memory.max", text), "872415232") == 0 &&
              io_wait(vm.pidfd, POLLIN, 0) == -ETIMEDOUT,
          "ceilings: one whose VM lives is kept, and set again", "%d, %s", fd, text);
    close(fd);
    close(vm.cgroup);
    vm_end(&vm);
    fd = cgroup_vm(1, 64, 1);
    close(fd);
    cgroup_open();
    check(fd >= 0 && !*cgroup_why() && stat(path, &st) != 0, "ceilings: the next bangerd removes empty ones", "%s",
          cgroup_why());
}

/* In a folder of the account's where another process is, then alone. */
static void busy(void) {
    pid_t other = fork();
    if (other == 0) {
        pause();
        _exit(0);
    }
    cgroup_open();
    check(strstr(cgroup_why(), "other processes") != NULL, "ceilings: not where other processes are", "%s",
          cgroup_why());
    kill(other, SIGKILL);
    (void) waitpid(other, NULL, 0);
}

static void in_base(void) {
    char text[512];
    helper_kill();
    if (!strstr(read_in("cgroup.controllers", text), "memory") || !strstr(text, "pids")) {
        cgroup_open();
        check(strstr(cgroup_why(), "lacks the controllers") != NULL, "ceilings: not without the controllers", "%s",
              cgroup_why());
        check(cgroup_vm(1, 64, 1) == -EOPNOTSUPP, "ceilings: and VMs get none then", "they do");
        helper_start();
        skip("ceilings: memory and tasks", "cgroup v2 has no memory and pids controllers here");
        return;
    }
    as_account();
    busy();
    cgroup_open();
    check(!*cgroup_why(), "ceilings: a delegated cgroup is used", "%s", cgroup_why());
    check(strstr(read_in("cgroup.subtree_control", text), "memory") && strstr(text, "pids"),
          "ceilings: the controllers are on for VMs", "%s", text);
    helper_start();
    values();
    memory();
    tasks();
    lifetimes();
}

void ceilings(void) {
    const char *at = cgroup_mount();
    char mine[200] = "", home[280];
    as_account();
    cgroup_open();
    check(strstr(cgroup_why(), at ? "not the account's own" : "no cgroup v2") != NULL,
          "ceilings: not in a cgroup of others", "%s", cgroup_why());
    as_root();
    FILE *f = fopen("/proc/self/cgroup", "re");
    for (char line[256] = ""; f && fgets(line, sizeof(line), f);)
        (void) sscanf(line, "0::%199s", mine);
    if (f)
        fclose(f);
    snprintf(home, sizeof(home), "%s%s", at ? at : "", mine);
    (void) (write_to(home, "cgroup.subtree_control", "+memory +pids") || 1);
    snprintf(base, sizeof(base), "%s/banger-ceilings", home);
    int fd = at ? cgroup_make(base, world.uid, world.uid) : -1;
    if (fd < 0 || cgroup_enter(base)) {
        as_account();
        skip("ceilings", "no cgroup (version 2) can be made here");
        return;
    }
    close(fd);
    as_account();
    in_base();
    helper_kill();
    as_root();
    int back = cgroup_enter(home) == 0;
    static const char *const names[] = {"/vm-012", "/vm-00c", "/vm-007", "/vm-001", "/daemon", ""};
    for (size_t i = 0; i < 6; i++) {
        char path[400];
        snprintf(path, sizeof(path), "%s%s", base, names[i]);
        (void) rmdir(path);
    }
    check(back && access(base, F_OK) != 0, "ceilings: nothing is left in any", "%s", base);
    helper_start();
}
