/* What a guest says of itself, and what the kernel says of its VMM. */
#include "../../guest/agent/agent.h"
#include "../../unpriv/daemon/cgroup.h"
#include "../../unpriv/daemon/usage.h"
#include "../../unpriv/vm/guest_stats.h"

#include <criterion/criterion.h>
#include <criterion/redirect.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

static int parse(const char *text, struct guest_stats *out) {
    return guest_stats_parse(text, strlen(text), out);
}

Test(stats, the_agents_own_answer_is_read_whole) {
    struct guest_stats stats;
    char text[GUEST_STATS_SIZE];
    cr_redirect_stdout();
    char *argv[] = {(char *) "stats", NULL};
    cr_assert_eq(agent_service(1, argv), 0);
    FILE *file = cr_get_redirected_stdout();
    size_t n = fread(text, 1, sizeof(text) - 1, file);
    cr_assert_gt(n, 0);
    cr_assert_eq(guest_stats_parse(text, n, &stats), 0, "%.*s", (int) n, text);
    for (size_t i = 0; i < GUEST_STATS_COUNT; i++)
        cr_expect_geq(stats.values[i], 0, "figure %zu is missing in %.*s", i, (int) n, text);
    cJSON *json = guest_stats_json(&stats);
    const cJSON *total = cJSON_GetObjectItem(json, "memory_total"),
                *left = cJSON_GetObjectItem(json, "memory_available");
    cr_expect(total->valuedouble > left->valuedouble && left->valuedouble > 1 << 20);
    cr_expect_eq(cJSON_GetObjectItem(json, "cpus")->valueint, (int) sysconf(_SC_NPROCESSORS_ONLN));
    cJSON_Delete(json);
}

Test(stats, what_is_not_such_an_answer_is_refused) {
    static const char *const bad[] = {"cpu_ms",
                                      "cpu_ms 1",
                                      "cpu_ms -1\n",
                                      "cpu_ms 1 \n",
                                      " 1\n",
                                      "cpu_ms  1\n",
                                      "Cpu 1\n",
                                      "\n",
                                      "cpu_ms 1\ncpu_ms 2\n",
                                      "cpu_ms 0x1\n",
                                      "cpu_ms\t1\n",
                                      "cpu_ms 1\r\n",
                                      "x 9007199254740992\n",
                                      "x 99999999999999999999999\n"};
    struct guest_stats stats;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        cr_expect_eq(parse(bad[i], &stats), -EPROTO, "%s", bad[i]);
    cr_expect_eq(guest_stats_parse("cpus 1\n\0", 8, &stats), -EPROTO);
    cr_expect_eq(parse("", &stats), 0);
    cr_expect_eq(parse("cpus 3\nlater_than_us 4\n", &stats), 0);
    cr_expect_eq(stats.values[2], 3);
    cr_expect_eq(stats.values[0], -1);
    cJSON *json = guest_stats_json(&stats);
    cr_expect(cJSON_IsNull(cJSON_GetObjectItem(json, "cpu_ms")));
    cJSON_Delete(json);
}

Test(stats, a_process_cannot_lie_by_its_name) {
    struct usage_process p;
    cr_assert_eq(
        usage_process_parse("7 (x) S 9 1 1 1 1 1 1 1 1 1 99 99 1) R 1 7 7 0 -1 4194560 1 2 3 4 55 66 0 0 20 0 1 0 "
                            "9 4096 17 18446744073709551615 1\n",
                            &p),
        0);
    cr_expect(p.parent == 1 && p.ticks == 121 && p.pages == 17);
    cr_expect_eq(usage_process_parse("7 (x) S 1 2", &p), -EPROTO);
    cr_expect_eq(usage_process_parse("7 (x)", &p), -EPROTO);
    cr_expect_eq(usage_process_parse("", &p), -EPROTO);
}

/* A "jail" that waits for its "VMM", which computes. */
static pid_t start_jail(void) {
    pid_t jail = fork();
    if (jail == 0) {
        if (fork() == 0) {
            for (volatile unsigned long i = 0;; i++)
                continue;
        }
        (void) pause();
        _exit(0);
    }
    return jail;
}

Test(stats, a_jail_with_its_vmm_is_counted_and_a_dead_one_is_not) {
    struct usage usage = {0};
    pid_t jail = start_jail();
    int pidfd = pidfd_open(jail, 0);
    cr_assert_geq(pidfd, 0);
    for (int i = 0; i < 200 && usage.cpu_us < 50000; i++) {
        (void) usleep(50000);
        usage_read(0, pidfd, &usage);
    }
    cr_expect(usage.have & USAGE_PROCESS);
    cr_expect_geq(usage.cpu_us, 50000, "%llu", (unsigned long long) usage.cpu_us);
    cr_expect_gt(usage.memory, 1 << 18);
    cr_expect_eq(usage.have & USAGE_NETWORK, 0);
    char command[64];
    (void) snprintf(command, sizeof(command), "pkill -9 -P %d", jail);
    cr_assert_eq(system(command), 0);
    (void) kill(jail, SIGKILL);
    (void) waitpid(jail, NULL, 0);
    usage_read(0, pidfd, &usage);
    cr_expect_eq(usage.have, 0);
    cr_expect_eq(usage.cpu_us, 0);
    (void) close(pidfd);
}

/* Its files as the kernel writes them (Documentation/admin-guide/cgroup-v2.rst). */
static void write_in(int dir, const char *name, const char *text) {
    int fd = openat(dir, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    cr_assert(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t) strlen(text) && close(fd) == 0);
}

Test(stats, a_cgroup_counts_for_the_processes_in_it) {
    char folder[] = "/tmp/banger-cgroup.XXXXXX";
    uint64_t cpu = 7, memory = 7;
    cr_assert(mkdtemp(folder));
    int dir = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    cr_expect_eq(cgroup_usage(dir, &cpu, &memory), -ENOENT);
    write_in(dir, "cpu.stat", "usage_usec 0\nuser_usec 0\nsystem_usec 0\n");
    write_in(dir, "memory.current", "0\n");
    write_in(dir, "cgroup.events", "populated 0\nfrozen 0\n");
    cr_expect_eq(cgroup_usage(dir, &cpu, &memory), -ESRCH, "a VM that was started without it has used something");
    cr_expect(cpu == 7 && memory == 7);
    write_in(dir, "cgroup.events", "populated 1\nfrozen 0\n");
    write_in(dir, "cpu.stat", "usage_usec 1234567\nuser_usec 1\nsystem_usec 2\n");
    write_in(dir, "memory.current", "4096\n");
    cr_expect_eq(cgroup_usage(dir, &cpu, &memory), 0);
    cr_expect(cpu == 1234567 && memory == 4096);
    static const char *const names[] = {"cpu.stat", "memory.current", "cgroup.events"};
    for (size_t i = 0; i < 3; i++)
        cr_expect_eq(unlinkat(dir, names[i], 0), 0);
    (void) close(dir);
    cr_expect_eq(rmdir(folder), 0);
}
