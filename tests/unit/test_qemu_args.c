/* QEMU's command line, and its control socket with a real QEMU at the other end. */
#include "../../common/mux.h"
#include "../../common/wire.h"
#include "../../unpriv/vmm/jail/jail.h"
#include "../../unpriv/vmm/qmp.h"
#include "../../unpriv/vmm/vmm.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static struct vmm_config config = {.name = "web-1",
                                   .slot = 3,
                                   .vcpus = 2,
                                   .memory_mib = 512,
                                   .tsc_khz = 2600000,
                                   .mac = {2, 0x62, 3, 0xe9, 0, 0x0f},
                                   .cmdline = "banger.name=web-1"};
static struct jail_args args;
static char *argv[JAIL_ARGS_MAX + 2];

static void build(void) {
    struct err e = {0};
    static char binary[] = "qemu";
    int fd = vmm_qemu.arguments(&config, &e);
    cr_assert_geq(fd, 0, "%s", e.text);
    cr_assert_eq(jailargs_read(fd, &args), 0, "what the driver makes, banger-jail takes");
    close(fd);
    jailargs_vector(&args, binary, argv);
}

/* The value after the first `option` whose value has `part`, or NULL. */
static const char *value(const char *option, const char *part) {
    for (int i = 1; argv[i] && argv[i + 1]; i++) {
        if (strcmp(argv[i], option) == 0 && strstr(argv[i + 1], part))
            return argv[i + 1];
    }
    return NULL;
}

Test(qemu_args, emulation) {
    config.kvm = 0;
    build();
    cr_expect_str_eq(value("-accel", ""), "tcg,thread=multi,tb-size=64");
    cr_expect_str_eq(value("-cpu", ""), "max,la57=off");
    cr_expect_str_eq(value("-m", ""), "512");
    cr_expect_str_eq(value("-smp", ""), "2");
    cr_expect_str_eq(value("-append", ""),
                     "banger.name=web-1 console=ttyS0 quiet panic=-1 reboot=t norandmaps tsc_early_khz=2600000");
}

Test(qemu_args, kvm) {
    config.kvm = 1;
    build();
    cr_expect_str_eq(value("-accel", ""), "kvm");
    cr_expect_str_eq(value("-cpu", ""), "host");
    cr_expect_null(strstr(value("-append", ""), "tsc_early_khz"));
    cr_expect_null(strstr(value("-append", ""), "norandmaps"));
}

Test(qemu_args, devices_by_descriptor) {
    char text[64];
    build();
    snprintf(text, sizeof(text), "fd=%d,set=%d", SPAWN_FD_NUMBER(SPAWN_ROOT), SPAWN_ROOT);
    cr_expect_not_null(value("-add-fd", text));
    snprintf(text, sizeof(text), "fd=%d,set=%d", SPAWN_FD_NUMBER(SPAWN_WORK), SPAWN_WORK);
    cr_expect_not_null(value("-add-fd", text));
    cr_expect_not_null(value("-device", "serial=root"));
    cr_expect_not_null(value("-device", "serial=work"));
    cr_expect_str_eq(value("-netdev", "tap"), "tap,id=net,fd=14,vhost=off");
    cr_expect_not_null(value("-device", "mac=02:62:03:e9:00:0f"));
    cr_expect_str_eq(value("-chardev", "id=qmp"), "socket,id=qmp,fd=12,server=on,wait=off");
    cr_expect_str_eq(value("-chardev", "id=agent"), "socket,id=agent,fd=13,server=on,wait=off");
    cr_expect_not_null(value("-device", "name=" MUX_PORT_NAME));
    cr_expect_str_eq(value("-sandbox", ""), "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny");
    cr_expect_str_eq(value("-kernel", ""), "/kernel");
    cr_expect_str_eq(value("-initrd", ""), "/initrd");
}

Test(qemu_args, the_root_disk_may_be_a_block_device) {
    build();
    cr_expect_not_null(strstr(value("-blockdev", "node-name=root"), "driver=file,"));
    config.root_device = 1;
    build();
    cr_expect_not_null(strstr(value("-blockdev", "node-name=root"), "driver=host_device,"));
    cr_expect_not_null(strstr(value("-blockdev", "node-name=work"), "driver=file,"));
}

Test(qemu_args, names_that_would_be_options_are_refused) {
    static const char *const bad[] = {
        "",    "a,b", "a=b",      "a b",
        "a/b", "a.b", "\xc3\xa4", "0123456789012345678901234567890123456789012345678901234567890123"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct err e = {0};
        struct vmm_config c = config;
        c.name = bad[i];
        cr_expect_eq(vmm_qemu.arguments(&c, &e), -EINVAL, "\"%s\"", bad[i]);
        cr_expect(*e.text);
    }
}

Test(qemu_args, a_command_line_the_kernel_would_cut_is_refused) {
    char line[2100];
    struct err e = {0};
    struct vmm_config c = config;
    memset(line, 'x', sizeof(line));
    line[sizeof(line) - 1] = '\0';
    c.cmdline = line;
    cr_assert_eq(vmm_qemu.arguments(&c, &e), -E2BIG);
}

Test(tsc, is_stable_and_plausible) {
    uint64_t khz = vmm_tsc_khz();
    cr_assert_eq(vmm_tsc_khz(), khz);
    cr_assert(khz > 500000 && khz < 10000000, "%lu", khz);
}

Test(qmp, table_of_lines) {
    static const struct {
        const char *line;
        enum qmp_kind kind;
    } table[] = {
        {"{\"QMP\": {\"version\": {}, \"capabilities\": []}}", QMP_GREETING},
        {"{\"return\": {}}\r", QMP_RETURN},
        {"{\"return\": [1, 2]}", QMP_RETURN},
        {"{\"error\": {\"class\": \"GenericError\", \"desc\": \"x\"}}", QMP_ERROR},
        {"{\"event\": \"STOP\", \"timestamp\": {}}", QMP_EVENT},
        {"", QMP_BAD},
        {"{", QMP_BAD},
        {"[]", QMP_BAD},
        {"\"return\"", QMP_BAD},
        {"{\"error\": \"x\"}", QMP_BAD},
        {"{\"event\": 1}", QMP_BAD},
        {"{\"QMP\": 1}", QMP_BAD},
        {"{}", QMP_BAD},
    };
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        cJSON *object = NULL;
        cr_expect_eq(qmp_parse(table[i].line, strlen(table[i].line), &object), table[i].kind, "%s", table[i].line);
        cr_expect_eq(object == NULL, table[i].kind == QMP_BAD, "%s", table[i].line);
        cJSON_Delete(object);
    }
}

/* A QEMU without a machine whose control socket is one end of a socket pair. */
static pid_t qemu(int fd) {
    char chardev[64];
    snprintf(chardev, sizeof(chardev), "socket,id=q,fd=%d", fd);
    pid_t pid = fork();
    if (pid == 0) {
        (void) fcntl(fd, F_SETFD, 0);
        execlp("qemu-system-x86_64", "qemu-system-x86_64", "-M", "none", "-nodefaults", "-display", "none", "-chardev",
               chardev, "-mon", "chardev=q,mode=control", (char *) NULL);
        _exit(127);
    }
    return pid;
}

Test(qmp, commands_of_a_real_qemu) {
    int pair[2], status = -1;
    cJSON *answer = NULL;
    struct err e = {0};
    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    pid_t pid = qemu(pair[1]);
    close(pair[1]);
    cr_assert_eq(qmp_run(pair[0], "query-status", 20000, &answer, &e), 0, "%s", e.text);
    const cJSON *inner = cJSON_GetObjectItem(answer, "return");
    cr_expect_str_eq(cJSON_GetStringValue(cJSON_GetObjectItem(inner, "status")), "running");
    cJSON_Delete(answer);
    kill(pid, SIGTERM);
    cr_assert_eq(waitpid(pid, &status, 0), pid);
    close(pair[0]);
}

Test(qmp, a_status_and_the_event_after_it) {
    int pair[2];
    char text[32];
    struct err e = {0};
    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    pid_t pid = qemu(pair[1]);
    close(pair[1]);
    cr_assert_eq(qmp_status(pair[0], 20000, text, &e), 0, "%s", e.text);
    cr_expect_str_eq(text, "running");
    struct pollfd p = {.fd = pair[0], .events = POLLIN};
    cr_expect_eq(poll(&p, 1, 100), 0, "nothing is left on the connection");
    kill(pid, SIGTERM);
    cr_expect_eq(poll(&p, 1, 20000), 1, "its SHUTDOWN event");
    (void) waitpid(pid, NULL, 0);
    close(pair[0]);
}

Test(qmp, an_unknown_command_is_refused_with_qemus_reason) {
    int pair[2];
    struct err e = {0};
    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    pid_t pid = qemu(pair[1]);
    close(pair[1]);
    cr_assert_eq(qmp_run(pair[0], "no-such-command", 20000, NULL, &e), -EPROTO);
    cr_assert(strstr(e.text, "no-such-command"), "%s", e.text);
    kill(pid, SIGTERM);
    (void) waitpid(pid, NULL, 0);
    close(pair[0]);
}

/* What a VMM under a hostile guest could send. */
static int answer_with(const char *bytes, size_t size, int hang_up, struct err *e) {
    int pair[2];
    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    cr_assert_eq(write(pair[1], bytes, size), (ssize_t) size);
    if (hang_up)
        close(pair[1]);
    int r = qmp_run(pair[0], "query-status", 200, NULL, e);
    close(pair[0]);
    if (!hang_up)
        close(pair[1]);
    return r;
}

Test(qmp, hostile_answers_end_with_an_error) {
    static char big[QMP_LINE_MAX + 10];
    struct err e = {0};
    memset(big, 'x', sizeof(big));
    cr_expect_eq(answer_with("", 0, 0, &e), -ETIMEDOUT);
    cr_expect_eq(answer_with("", 0, 1, &e), -ECONNRESET);
    cr_expect_eq(answer_with("{\"QMP\":", 7, 1, &e), -ECONNRESET);
    cr_expect_eq(answer_with("junk\n", 5, 0, &e), -EPROTO);
    cr_expect_eq(answer_with("{\"return\":1}\n", 13, 0, &e), -EPROTO);
    cr_expect_eq(answer_with(big, sizeof(big), 0, &e), -EMSGSIZE);
}

Test(qmp, a_vmm_that_never_stops_talking_is_given_up) {
    static const char greeting[] = "{\"QMP\":{}}\n{\"return\":{}}\n", status[] = "{\"return\":{\"status\":\"x\"}}\n";
    static char bytes[60000];
    char text[32];
    int pair[2];
    struct err e = {0};
    size_t used = 0;
    for (const char *part = greeting; used + strlen(part) < sizeof(bytes); part = status) {
        memcpy(bytes + used, part, strlen(part));
        used += strlen(part);
    }
    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    cr_assert_eq(write(pair[1], bytes, used - 1), (ssize_t) used - 1);
    cr_expect_lt(qmp_status(pair[0], 200, text, &e), 0);
    cr_expect(*e.text);
    close(pair[0]);
    close(pair[1]);
}
