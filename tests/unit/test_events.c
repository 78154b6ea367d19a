/* events.h: what leaves an event, the cursor, what is kept, who is woken. */
#include "../../unpriv/daemon/events_op.h"
#include "../../unpriv/store/events.h"
#include "../../unpriv/store/table.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static char folder[64];
static struct err e;

static void begin(void) {
    (void) snprintf(folder, sizeof(folder), "/tmp/banger-events-XXXXXX");
    cr_assert(mkdtemp(folder));
    cr_assert_eq(store_open(folder, &e), 0, "%s", e.text);
}

static void end(void) {
    char command[128];
    store_close();
    (void) snprintf(command, sizeof(command), "rm -rf %s", folder);
    cr_assert_eq(system(command), 0);
}

TestSuite(events, .init = begin, .fini = end);

static struct image_record image = {.id = "00000000000000a1", .name = "debian", .kind = "oci", .source = "there"};
static struct kernel_record kernel = {.id = "00000000000000b1", .name = "k", .release = "6.1"};
static const struct vm_record fresh = {.id = "00000000000000c1",
                                       .name = "web",
                                       .image = "00000000000000a1",
                                       .kernel = "00000000000000b1",
                                       .vcpus = 1,
                                       .memory_mib = 512,
                                       .accel = "tcg"};

static void expect(const struct event *event, int64_t id, const char *kind, const char *name, const char *text) {
    cr_expect_eq(event->id, id, "%lld", (long long) event->id);
    cr_expect_str_eq(event->kind, kind);
    cr_expect_str_eq(event->name, name);
    cr_expect_str_eq(event->text, text);
}

static void set(struct vm_record *r, enum vm_state state, int pid) {
    r->state = state;
    r->pid = pid;
    cr_assert_eq(store_vm_update(r, &e), 0, "%s", e.text);
}

Test(events, each_change_of_a_record_leaves_one) {
    struct event got[32];
    struct vm_record r = fresh;
    cr_assert_eq(store_image_add(&image, &e), 0);
    cr_assert_eq(store_kernel_add(&kernel, &e), 0);
    cr_assert_eq(store_vm_add(&r, &e), 0);
    set(&r, VM_STARTING, 0);
    set(&r, VM_STARTING, 7);
    set(&r, VM_RUNNING, 7);
    set(&r, VM_RUNNING, 7); /* nothing new */
    set(&r, VM_STOPPING, 7);
    set(&r, VM_STOPPED, 0);
    r.memory_mib = 1024;
    r.egress = 1;
    cr_assert_eq(store_vm_update(&r, &e), 0);
    r.ipv6 = 1;
    cr_assert_eq(store_vm_update(&r, &e), 0);
    set(&r, VM_STOPPED, 8);
    set(&r, VM_RUNNING, 8);
    set(&r, VM_STOPPED, 0);
    set(&r, VM_FAILED, 0);
    cr_assert_eq(store_vm_delete(r.id, &e), 0);
    cr_assert_eq(store_image_delete(image.id, &e), 0);
    cr_assert_eq(store_kernel_delete(kernel.id, &e), 0);
    static const char *const wanted[][3] = {
        {"image.created", "debian", "oci, there"},
        {"kernel.created", "k", "6.1"},
        {"vm.created", "web", "image debian"},
        {"vm.starting", "web", ""},
        {"vm.started", "web", "pid 7, tcg"},
        {"vm.ready", "web", ""},
        {"vm.stopping", "web", ""},
        {"vm.stopped", "web", ""},
        {"vm.changed", "web", "1 vcpu, 1024 MiB, disk 0 MiB, egress nat"},
        {"vm.changed", "web", "1 vcpu, 1024 MiB, disk 0 MiB, egress nat, ipv6"},
        {"vm.started", "web", "pid 8, tcg"},
        {"vm.ready", "web", ""},
        {"vm.stopped", "web", "its VMM ended"},
        {"vm.failed", "web", "its guest never became ready"},
        {"vm.deleted", "web", ""},
        {"image.deleted", "debian", ""},
        {"kernel.deleted", "k", ""},
    };
    const int count = sizeof(wanted) / sizeof(wanted[0]);
    cr_assert_eq(events_read(0, got, 32, &e), count);
    const int64_t now = (int64_t) time(NULL) * 1000;
    for (int i = 0; i < count; i++) {
        expect(&got[i], i + 1, wanted[i][0], wanted[i][1], wanted[i][2]);
        cr_expect(got[i].time > now - 60000 && got[i].time < now + 60000, "%lld", (long long) got[i].time);
    }
    cr_expect_str_eq(got[2].object, fresh.id);
}

Test(events, a_change_that_fails_leaves_none) {
    int64_t last = -1;
    struct vm_record r = fresh;
    cr_expect_eq(store_vm_add(&r, &e), -ENOENT); /* no such image */
    cr_expect_eq(store_vm_update(&r, &e), -ENOENT);
    cr_assert_eq(events_last(&last, &e), 0);
    cr_expect_eq(last, 0);
}

Test(events, ids_go_on_after_all_is_gone_and_opened_again) {
    struct event got[4];
    events_add("a", NULL, "one");
    events_add("b", &fresh, "two\n%s", "\033[31m");
    store_close();
    cr_assert_eq(store_open(folder, &e), 0);
    events_add("c", NULL, "three");
    cr_assert_eq(events_read(1, got, 4, &e), 2);
    expect(&got[0], 2, "b", "web", "two??[31m");
    expect(&got[1], 3, "c", "", "three");
    cr_assert_eq(events_read(3, got, 4, &e), 0);
    cr_assert_eq(events_read(0, got, 1, &e), 1);
    cr_assert_eq(events_newest("a", "b", &got[0], &e), 0);
    expect(&got[0], 2, "b", "web", "two??[31m");
    cr_assert_eq(events_newest("x", NULL, &got[0], &e), 0);
    cr_expect_eq(got[0].id, 0);
}

Test(events, the_last_ten_thousand_are_kept_and_an_older_cursor_says_so) {
    struct event got[2];
    cr_assert_eq(sqlite3_exec(store_lock(), "PRAGMA synchronous = OFF", NULL, NULL, NULL), SQLITE_OK);
    store_unlock();
    for (int i = 1; i <= EVENTS_KEPT + 250; i++)
        events_add("n", NULL, "%d", i);
    cr_assert_eq(events_read(0, got, 1, &e), 1); /* "from the oldest" */
    expect(&got[0], 201, "n", "", "201");
    cr_assert_eq(events_read(200, got, 1, &e), 1);
    cr_expect_eq(got[0].id, 201);
    cr_expect_eq(events_read(199, got, 1, &e), -ESTALE);
    cr_expect_str_eq(e.text, "the events from 200 to 200 are no longer kept (the last 10000 are), so this cursor has "
                             "lost them: go on with 200");
}

Test(events, a_killed_writer_loses_nothing_it_was_told_is_written) {
    int ends[2];
    int64_t told = 0;
    cr_assert_eq(pipe(ends), 0);
    store_close();
    pid_t pid = fork();
    if (pid == 0) {
        (void) close(ends[0]);
        if (store_open(folder, &e))
            _exit(1);
        for (int64_t id = 1;; id++) {
            events_add("n", NULL, "%lld", (long long) id);
            if (write(ends[1], &id, sizeof(id)) != (ssize_t) sizeof(id))
                _exit(1);
        }
    }
    (void) close(ends[1]);
    while (told < 20)
        cr_assert_eq(read(ends[0], &told, sizeof(told)), (ssize_t) sizeof(told));
    (void) kill(pid, SIGKILL);
    (void) waitpid(pid, NULL, 0);
    while (read(ends[0], &told, sizeof(told)) == (ssize_t) sizeof(told))
        continue;
    (void) close(ends[0]);
    int64_t last = 0;
    struct event one;
    cr_assert_eq(store_open(folder, &e), 0, "%s", e.text);
    cr_assert_eq(events_last(&last, &e), 0);
    cr_expect(last == told || last == told + 1, "told %lld, there is %lld", (long long) told, (long long) last);
    for (int64_t at = 0; at < last; at++) {
        cr_assert_eq(events_read(at, &one, 1, &e), 1);
        cr_assert_eq(one.id, at + 1);
    }
}

Test(events, bells_ring_and_are_counted) {
    int bells[EVENTS_BELLS];
    for (int i = 0; i < EVENTS_BELLS; i++) {
        bells[i] = events_bell();
        cr_assert_geq(bells[i], 0);
    }
    cr_expect_eq(events_bell(), -EBUSY);
    struct pollfd p = {.fd = bells[3], .events = POLLIN};
    cr_expect_eq(poll(&p, 1, 0), 0);
    events_add("a", NULL, "x");
    cr_expect_eq(poll(&p, 1, 0), 1);
    cr_assert_eq(store_image_add(&image, &e), 0);
    for (int i = 0; i < EVENTS_BELLS; i++)
        events_bell_return(bells[i]);
    int again = events_bell();
    cr_expect_geq(again, 0);
    events_bell_return(again);
}

Test(events, what_was_mended_since_the_last_clean_start) {
    char text[128];
    int64_t since = -1;
    cr_expect_eq(events_mended(text, sizeof(text), &since, &e), 0);
    events_add(EVENT_VM_MENDED, &fresh, "of long ago");
    events_add(EVENT_DAEMON_STARTED, NULL, "v");
    cr_expect_eq(events_mended(text, sizeof(text), &since, &e), 0);
    cr_expect_eq(since, 2);
    events_add(EVENT_VM_FOUND, &fresh, "running");
    events_add(EVENT_VM_MENDED, &fresh, "its VMM ended");
    events_add(EVENT_DAEMON_RESTARTED, NULL, "the last one died (signal 9)");
    events_add(EVENT_MENDED, NULL, "vms/001 had no owner");
    cr_expect_eq(events_mended(text, sizeof(text), &since, &e), 3);
    cr_expect_str_eq(text, "web: its VMM ended; bangerd: the last one died (signal 9); vms/001 had no owner");
    for (int i = 0; i < 70; i++)
        events_add(EVENT_VM_MENDED, &fresh, "its VMM ended");
    cr_expect_eq(events_mended(text, sizeof(text), &since, &e), 73);
    cr_expect_str_eq(text + strlen(text) - 5, "; ...");
}

Test(events, as_json) {
    const struct event event = {
        .id = 7, .time = 1700000000007, .kind = "vm.ready", .object = "00000000000000c1", .name = "web", .text = "\""};
    cJSON *json = event_json(&event);
    char *text = cJSON_PrintUnformatted(json);
    cr_expect_str_eq(text, "{\"id\":7,\"time\":\"2023-11-14T22:13:20.007Z\",\"kind\":\"vm.ready\",\"object\":"
                           "\"00000000000000c1\",\"name\":\"web\",\"text\":\"\\\"\"}");
    cJSON_free(text);
    cJSON_Delete(json);
}
