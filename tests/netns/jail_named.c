/* A VMM that opens its tap and disks by name and makes its sockets itself, as Firecracker
 * does: the policy's VMM 2 is guest/jail_named.c. */
#include "../../common/io.h"
#include "../../policy/policy.h"
#include "jail_world.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/loop.h>
#include <poll.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

/* A host process's abstract socket, which the VMM must not reach. */
static int abstract_listener(void) {
    static const char name[] = "banger-jail-test";
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    memcpy(a.sun_path + 1, name, sizeof(name) - 1);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bind(fd, (struct sockaddr *) &a, (socklen_t) (offsetof(struct sockaddr_un, sun_path) + sizeof(name))) ||
        listen(fd, 8))
        not_ok("setup", "abstract socket: %s", strerror(errno));
    return fd;
}

/* The other end of the jail's /vm/api.sock. */
static int use_api(const struct vm *vm) {
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    char in[8] = "";
    snprintf(a.sun_path, sizeof(a.sun_path), "%s/%03x/jail/api.sock", world.folder, vm->slot);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int good = connect(fd, (struct sockaddr *) &a, sizeof(a)) == 0 && write(fd, "hello", 5) == 5 &&
               io_wait(fd, POLLIN, 5000) == 0 && read(fd, in, sizeof(in)) == 3;
    close(fd);
    return good;
}

static int wrote_by_name(int fd) {
    char in[8] = "";
    return pread(fd, in, 7, 4096) == 7 && strcmp(in, "by name") == 0;
}

/* Runs the VMM to its end; its results are this test's. */
static void run_named(struct vm *vm, int root) {
    struct wire_reply reply;
    vm_spawn(vm, 2, &reply);
    check(vm->pidfd >= 0, "by name: starts", "verdict %u reason %u error %d step %x", reply.verdict, reply.reason,
          reply.error, reply.step);
    int served = vm_shows(vm, "console", "waits for the host\n", 20000);
    if (served)
        check_jail(vm);
    check(served && use_api(vm), "by name: its API answers on the socket it made", "%s", vm_read(vm, "log"));
    int status = vm_wait(vm, 10000);
    check(status == W_EXITCODE(42, 0), "by name: its exit status comes back", "status %x, %s", status,
          vm_read(vm, "log"));
    vm_results(vm);
    check(wrote_by_name(root) && wrote_by_name(vm->fds[SPAWN_WORK]), "by name: what it wrote is on the disks",
          "it is not");
}

/* A loop device over the root disk's file stands for a dm-snapshot; -1 where there are none. */
static int block_device(const char *file, char path[32]) {
    int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
    int number = control < 0 ? -1 : ioctl(control, LOOP_CTL_GET_FREE);
    close(control);
    snprintf(path, 32, "/dev/loop%d", number);
    int fd = number < 0 ? -1 : open(path, O_RDWR | O_CLOEXEC), backing = open(file, O_RDWR | O_CLOEXEC);
    struct loop_config config = {.fd = (unsigned) backing, .info.lo_flags = LO_FLAGS_AUTOCLEAR};
    int failed = fd < 0 || ioctl(fd, LOOP_CONFIGURE, &config);
    close(backing);
    if (!failed)
        return fd;
    close(fd);
    return -1;
}

static void with_block_device(void) {
    struct vm vm;
    char path[32], file[108];
    vm_prepare_named(&vm, 8);
    snprintf(file, sizeof(file), "%s/008/root.img", world.folder);
    as_root();
    int fd = block_device(file, path);
    as_account();
    if (fd < 0) {
        skip("by name: a block device as root disk", "no loop device can be had here");
        vm_end(&vm);
        return;
    }
    close(vm.fds[SPAWN_ROOT]);
    vm.fds[SPAWN_ROOT] = fd;
    struct wire_reply reply;
    vm_spawn(&vm, 2, &reply);
    int served = vm_shows(&vm, "console", "waits for the host\n", 20000);
    check(served && strstr(vm_read(&vm, "console"), "ok probe: uses /root.ext4"),
          "by name: a block device as root disk", "verdict %u error %d step %x; %s", reply.verdict, reply.error,
          reply.step, vm_read(&vm, "console"));
    struct stat st, node;
    char inside[64];
    as_root();
    snprintf(inside, sizeof(inside), "/proc/%d/root/root.ext4", vm.pid);
    check(fstat(fd, &st) == 0 && stat(inside, &node) == 0 && S_ISBLK(node.st_mode) && st.st_rdev == node.st_rdev &&
              node.st_uid == world.uid && (node.st_mode & 0777) == 0600,
          "by name: its node is of that device and the account's own", "mode %o uid %u", node.st_mode, node.st_uid);
    as_account();
    check(use_api(&vm) && vm_wait(&vm, 10000) == W_EXITCODE(42, 0) && wrote_by_name(fd),
          "by name: what it wrote is on the device", "it is not");
    vm_end(&vm);
}

/* Only what is open for writing becomes writable. */
static void read_only_disk(void) {
    struct vm vm;
    struct wire_reply reply;
    char path[108];
    vm_prepare_named(&vm, 9);
    snprintf(path, sizeof(path), "%s/009/root.img", world.folder);
    close(vm.fds[SPAWN_ROOT]);
    vm.fds[SPAWN_ROOT] = open(path, O_RDONLY | O_CLOEXEC);
    vm_spawn(&vm, 2, &reply);
    check(vm.pidfd < 0 && reply.verdict == WIRE_DENIED && reply.reason == POLICY_DESCRIPTOR,
          "by name: a disk open for reading only is denied", "verdict %u reason %u", reply.verdict, reply.reason);
    vm_end(&vm);
}

/* Somebody else's file that the account may read and write by a descriptor, but not open. */
static void foreign_disk(void) {
    struct vm vm;
    struct wire_reply reply;
    char path[108];
    vm_prepare_named(&vm, 9);
    snprintf(path, sizeof(path), "%s/009/root.img", world.folder);
    as_root();
    int failed = chown(path, 0, 0) || chmod(path, 0600);
    as_account();
    vm_spawn(&vm, 2, &reply);
    int ended = !failed && vm_wait(&vm, 20000) != -1;
    check(ended || vm.pidfd >= 0, "by name: starts with a file it cannot open", "verdict %u", reply.verdict);
    check(strstr(vm_read(&vm, "console"), "uses /root.ext4 does not hold (Permission denied)") != NULL,
          "by name: the mount adds no right to a file", "%s", vm_read(&vm, "console"));
    vm_end(&vm);
    as_root();
    (void) unlink(path);
    as_account();
}

void named(void) {
    struct vm vm;
    int listener = abstract_listener();
    vm_prepare_named(&vm, 7);
    run_named(&vm, vm.fds[SPAWN_ROOT]);
    vm_end(&vm);
    with_block_device();
    read_only_disk();
    foreign_disk();
    close(listener);
}
