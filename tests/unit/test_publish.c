/* Published ports: their text, what a guest says of its own, and banger-forward itself. */
#include "../../guest/agent/agent.h"
#include "../../unpriv/cli/ports.h"
#include "../../unpriv/forward/spec.h"
#include "../../unpriv/vm/guest_ports.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

/* --- text ---------------------------------------------------------------------------------- */

Test(publish, what_parses_has_one_shortest_text) {
    static const struct {
        const char *text, *shortest, *address;
        size_t rules;
    } good[] = {{"8080:80", "8080:80", "localhost", 2},
                {"localhost:8080:80/tcp", "8080:80", "localhost", 2},
                {"5353:53/udp", "5353:53/udp", "localhost", 2},
                {"127.0.0.1:65535:1", "127.0.0.1:65535:1", "127.0.0.1", 1},
                {"0.0.0.0:80:80", "0.0.0.0:80:80", "0.0.0.0", 1},
                {"[0:0:0:0:0:0:0:1]:8080:80/udp", "[::1]:8080:80/udp", "::1", 1}};
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        struct publish publish;
        struct forward_rule rules[2];
        struct err e = {0};
        char text[PUBLISH_TEXT_MAX];
        cr_assert_eq(publish_parse(good[i].text, &publish, &e), 0, "%s", e.text);
        publish_format(&publish, text);
        cr_expect_str_eq(text, good[i].shortest);
        publish_address(&publish, text);
        cr_expect_str_eq(text, good[i].address);
        cr_expect_eq(publish_rules(&publish, rules), good[i].rules);
    }
}

Test(publish, what_does_not_parse_is_explained) {
    static const char *const bad[] = {
        "",           "80",       ":80",        "80:",    "80:80:",  "0:80",        "80:0",      "65536:80",
        "080:80",     "80:80/",   "80:80/udp ", "+80:80", "a:80:80", "1.2.3:80:80", "::1:80:80", "[1.2.3.4]:80:80",
        "[::1:80:80", "[]:80:80", ":80:80",     "80 :80"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct publish publish;
        struct err e = {0};
        cr_expect_eq(publish_parse(bad[i], &publish, &e), -EINVAL, "%s", bad[i]);
        cr_expect(strstr(e.text, "the form is"), "%s", e.text);
    }
}

Test(publish, a_list_holds_each_place_once_and_no_more_than_it_can) {
    struct publish_list list = {0}, again;
    struct publish publish;
    struct err e = {0};
    char text[PUBLISH_LIST_MAX];
    cr_assert_eq(publish_parse("8080:80", &publish, &e), 0);
    cr_expect_eq(publish_add(&list, &publish, &e), 0);
    publish.guest = 81;
    cr_expect_eq(publish_add(&list, &publish, &e), -EEXIST);
    publish.protocol = IPPROTO_UDP;
    cr_expect_eq(publish_add(&list, &publish, &e), 0);
    cr_expect_eq(publish_list_write(&list, text, &e), 0);
    cr_expect_str_eq(text, "8080:80 8080:81/udp");
    publish_list_read(text, &again);
    cr_expect_eq(again.count, 2);
    cr_expect_eq(publish_remove(&again, &publish, &e), 0);
    cr_expect_eq(publish_remove(&again, &publish, &e), -ENOENT);
    for (publish.host = 1; list.count < PUBLISH_MAX; publish.host++)
        cr_assert_eq(publish_add(&list, &publish, &e), 0);
    cr_expect_eq(publish_add(&list, &publish, &e), -ENOSPC);
    for (size_t i = 0; i < list.count; i++)
        list.items[i] = (struct publish){.family = AF_INET6,
                                         .protocol = IPPROTO_UDP,
                                         .address = {255, 255, 255, 255},
                                         .host = 65535,
                                         .guest = 65535};
    cr_expect_eq(publish_list_write(&list, text, &e), -ENOSPC);
}

/* --- what a guest listens on ------------------------------------------------------------------ */

Test(publish, a_guests_ports_are_sorted_and_none_is_there_twice) {
    struct guest_port ports[GUEST_PORTS_MAX];
    struct err e = {0};
    int count = guest_ports_parse("udp :: 53 dns masq\ntcp 127.0.0.1 80 a\ntcp 0.0.0.0 22 sshd\ntcp 0.0.0.0 22 sshd\n"
                                  "tcp ::ffff:127.0.0.1 81 b\ntcp ::1 82 -\n",
                                  ports, &e);
    cr_assert_eq(count, 5, "%s", e.text);
    cr_expect_eq(ports[0].port, 22);
    cr_expect_eq(ports[0].local, 0);
    cr_expect_eq(ports[1].protocol, IPPROTO_UDP);
    cr_expect_str_eq(ports[1].program, "dns masq");
    cr_expect(ports[2].local && ports[3].local && ports[4].local);
    cr_expect_eq(guest_ports_parse("", ports, &e), 0);
    cr_expect_eq(guest_ports_parse("tcp 0.0.0.0 22 ssh\033[2J\n", ports, &e), -EPROTO);
    cr_expect_eq(guest_ports_parse("tcp 0.0.0.0 22 cut", ports, &e), -EPROTO);
}

Test(publish, a_line_of_proc_net_is_read_as_the_kernel_writes_it) {
    char address[INET6_ADDRSTRLEN] = "";
    unsigned port = 0;
    unsigned long inode = 0;
    cr_expect(
        agent_ports_line("   1: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 "
                         "4242 1 0000000000000000 100 0 0 10 0\n",
                         AF_INET, 10, &port, &inode, address));
    cr_expect_str_eq(address, "127.0.0.1");
    cr_expect_eq(port, 8080);
    cr_expect_eq(inode, 4242);
    cr_expect(agent_ports_line("  10: 00000000000000000000000001000000:0035 00000000000000000000000000000000:0000 07 "
                               "00000000:00000000 00:00000000 00000000     0        0 7 2 0 0\n",
                               AF_INET6, 7, &port, &inode, address));
    cr_expect_str_eq(address, "::1");
    cr_expect_not(
        agent_ports_line("   1: 0100007F:1F90 00000000:0000 01 00000000:00000000 00:00000000 00000000  1000    "
                         "    0 4242 1 0 100 0 0 10 0\n",
                         AF_INET, 10, &port, &inode, address));
}

Test(publish, links_are_for_what_a_browser_may_find) {
    cr_expect_str_eq(ports_scheme(80), "http");
    cr_expect_str_eq(ports_scheme(8443), "https");
    cr_expect_null(ports_scheme(22));
    cr_expect_null(ports_scheme(5432));
}

/* --- banger-forward: the guest is a server on 127.0.0.2 ----------------------------------------- */

#define PROGRAM "build/banger-forward"
#define GUEST   0x7f000002u

static struct {
    pid_t pid;
    int control, server, datagrams;
    uint16_t tcp, udp; /* the guest's ports */
} lab;

static uint16_t bound(int *fd, int type) {
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(GUEST)};
    socklen_t size = sizeof(at);
    *fd = socket(AF_INET, type, 0);
    cr_assert_eq(bind(*fd, (struct sockaddr *) &at, size), 0);
    cr_assert_eq(getsockname(*fd, (struct sockaddr *) &at, &size), 0);
    return ntohs(at.sin_port);
}

/* Collects what comes until its end, then sends it back. */
static void *echo_one(void *arg) {
    int fd = (int) (intptr_t) arg;
    size_t used = 0, room = 16 << 20;
    char *all = malloc(room);
    for (ssize_t n; all && (n = read(fd, all + used, room - used)) > 0;)
        used += (size_t) n;
    for (size_t sent = 0; all && sent < used;) {
        ssize_t n = send(fd, all + sent, used - sent, MSG_NOSIGNAL);
        if (n < 0)
            break;
        sent += (size_t) n;
    }
    (void) close(fd);
    free(all);
    return NULL;
}

static void *serve(void *arg) {
    (void) arg;
    for (int fd; (fd = accept(lab.server, NULL, NULL)) >= 0;) {
        pthread_t thread;
        if (pthread_create(&thread, NULL, echo_one, (void *) (intptr_t) fd) == 0)
            (void) pthread_detach(thread);
    }
    return NULL;
}

static void *serve_datagrams(void *arg) {
    char data[2048];
    struct sockaddr_in from;
    socklen_t size = sizeof(from);
    (void) arg;
    for (ssize_t n; (n = recvfrom(lab.datagrams, data, sizeof(data), 0, (struct sockaddr *) &from, &size)) >= 0;)
        (void) sendto(lab.datagrams, data, (size_t) n, 0, (struct sockaddr *) &from, size);
    return NULL;
}

static void begin(void) {
    int pair[2];
    pthread_t thread;
    lab.tcp = bound(&lab.server, SOCK_STREAM);
    lab.udp = bound(&lab.datagrams, SOCK_DGRAM);
    cr_assert_eq(listen(lab.server, 512), 0);
    cr_assert_eq(pthread_create(&thread, NULL, serve, NULL), 0);
    cr_assert_eq(pthread_create(&thread, NULL, serve_datagrams, NULL), 0);
    cr_assert_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
    lab.pid = fork();
    cr_assert_geq(lab.pid, 0);
    if (lab.pid == 0) {
        char *const argv[] = {(char[]){"banger-forward"}, NULL}, *const env[] = {NULL};
        if (dup2(pair[1], FORWARD_FD_CONTROL) == FORWARD_FD_CONTROL)
            execve(PROGRAM, argv, env);
        _exit(127);
    }
    (void) close(pair[1]);
    lab.control = pair[0];
}

/* It ends with its control socket. */
static void end(void) {
    int status = 0;
    (void) close(lab.control);
    cr_expect_eq(waitpid(lab.pid, &status, 0), lab.pid);
    cr_expect(WIFEXITED(status) && WEXITSTATUS(status) == 0, "status %x", (unsigned) status);
}

TestSuite(forward, .init = begin, .fini = end);

static struct forward_rule rule(uint16_t host, uint16_t protocol) {
    return (struct forward_rule){.address = {127, 0, 0, 1},
                                 .family = AF_INET,
                                 .protocol = protocol,
                                 .host = host,
                                 .guest = protocol == IPPROTO_TCP ? lab.tcp : lab.udp};
}

static struct forward_reply ask(struct forward_request request) {
    static uint32_t id;
    struct forward_reply reply = {.error = -1};
    request.version = FORWARD_VERSION;
    request.id = ++id;
    cr_assert_eq(send(lab.control, &request, sizeof(request), MSG_NOSIGNAL), (ssize_t) sizeof(request));
    cr_assert_eq(recv(lab.control, &reply, sizeof(reply), 0), (ssize_t) sizeof(reply));
    cr_assert_eq(reply.id, request.id);
    return reply;
}

static int dial(uint16_t port, int type) {
    const struct sockaddr_in at = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    const struct timeval limit = {.tv_sec = 20};
    int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);
    (void) setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    if (connect(fd, (const struct sockaddr *) &at, sizeof(at)) == 0)
        return fd;
    (void) close(fd);
    return -1;
}

/* A port that nobody has now. */
static uint16_t free_port(void) {
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(at);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    cr_assert_eq(bind(fd, (struct sockaddr *) &at, size), 0);
    cr_assert_eq(getsockname(fd, (struct sockaddr *) &at, &size), 0);
    (void) close(fd);
    return ntohs(at.sin_port);
}

static int echoes(int fd, const char *text) {
    char back[64] = "";
    (void) !send(fd, text, strlen(text), MSG_NOSIGNAL);
    (void) shutdown(fd, SHUT_WR);
    int good = recv(fd, back, sizeof(back) - 1, MSG_WAITALL) == (ssize_t) strlen(text) && strcmp(back, text) == 0;
    (void) close(fd);
    return good;
}

Test(forward, a_half_closed_connection_carries_the_answer) {
    const size_t size = 8 << 20;
    uint8_t *data = malloc(size), *back = malloc(size + 1);
    uint16_t port = free_port();
    cr_assert(data && back);
    for (size_t i = 0; i < size; i++)
        data[i] = (uint8_t) (i * 2654435761u >> 13);
    cr_assert_eq(ask((struct forward_request){.guest = GUEST, .count = 1, .rules = {rule(port, IPPROTO_TCP)}}).error,
                 0);
    int fd = dial(port, SOCK_STREAM);
    for (size_t sent = 0; sent < size;) {
        ssize_t n = send(fd, data + sent, size - sent, MSG_NOSIGNAL);
        cr_assert_gt(n, 0);
        sent += (size_t) n;
    }
    cr_assert_eq(shutdown(fd, SHUT_WR), 0);
    cr_expect_eq(recv(fd, back, size + 1, MSG_WAITALL), (ssize_t) size);
    cr_expect_eq(memcmp(data, back, size), 0);
    (void) close(fd);
    free(data);
    free(back);
}

Test(forward, a_request_says_all_that_a_slot_has) {
    uint16_t one = free_port(), two = free_port();
    struct forward_request both = {
        .guest = GUEST, .count = 2, .rules = {rule(one, IPPROTO_TCP), rule(two, IPPROTO_TCP)}};
    cr_assert_eq(ask(both).error, 0);
    int stays = dial(one, SOCK_STREAM), goes = dial(two, SOCK_STREAM);
    both.count = 1;
    cr_assert_eq(ask(both).error, 0);
    char byte;
    cr_expect_eq(recv(goes, &byte, 1, 0), -1);
    cr_expect_eq(errno, ECONNRESET);
    (void) close(goes);
    cr_expect_eq(dial(two, SOCK_STREAM), -1);
    cr_expect(echoes(stays, "still"));
    cr_expect_eq(ask((struct forward_request){.slot = 0}).error, 0);
    cr_expect_eq(dial(one, SOCK_STREAM), -1);
}

Test(forward, what_cannot_be_had_changes_nothing) {
    uint16_t mine = free_port(), theirs = free_port(), third = free_port();
    cr_assert_eq(
        ask((struct forward_request){.slot = 7, .guest = GUEST, .count = 1, .rules = {rule(theirs, IPPROTO_TCP)}})
            .error,
        0);
    struct forward_request request = {
        .slot = 8, .guest = GUEST, .count = 2, .rules = {rule(mine, IPPROTO_TCP), rule(theirs, IPPROTO_TCP)}};
    struct forward_reply reply = ask(request);
    cr_expect_eq(reply.error, EADDRINUSE);
    cr_expect_eq(reply.rule, 1);
    cr_expect_eq(reply.slot, 7);
    cr_expect_eq(dial(mine, SOCK_STREAM), -1);
    request.flags = FORWARD_BEST;
    cr_expect_eq(ask(request).error, EADDRINUSE);
    cr_expect(echoes(dial(mine, SOCK_STREAM), "best"));
    request =
        (struct forward_request){.slot = 9, .flags = FORWARD_TRY, .count = 1, .rules = {rule(third, IPPROTO_TCP)}};
    cr_expect_eq(ask(request).error, 0);
    cr_expect_eq(dial(third, SOCK_STREAM), -1);
    request.rules[0].address[0] = 192;
    cr_expect_eq(ask(request).error, EADDRNOTAVAIL);
    request.rules[0].optional = 1;
    cr_expect_eq(ask(request).error, 0);
}

Test(forward, nonsense_is_refused) {
    struct forward_request request = {.slot = 1000, .count = 0};
    cr_expect_eq(ask(request).error, EINVAL);
    request = (struct forward_request){.count = FORWARD_RULES_MAX + 1};
    cr_expect_eq(ask(request).error, EINVAL);
    request = (struct forward_request){.count = 1, .rules = {rule(1, IPPROTO_ICMP)}};
    cr_expect_eq(ask(request).error, EINVAL);
    request.rules[0] = rule(0, IPPROTO_TCP);
    cr_expect_eq(ask(request).error, EINVAL);
}

Test(forward, who_comes_early_waits_until_the_guest_is_ready) {
    uint16_t port = free_port();
    struct forward_request request = {.count = 1, .rules = {rule(port, IPPROTO_TCP)}};
    cr_assert_eq(ask(request).error, 0);
    int early = dial(port, SOCK_STREAM);
    struct pollfd p = {.fd = early, .events = POLLIN};
    cr_assert_eq(send(early, "early", 5, MSG_NOSIGNAL), 5);
    cr_expect_eq(poll(&p, 1, 200), 0);
    request.guest = GUEST;
    cr_assert_eq(ask(request).error, 0);
    char back[8] = "";
    cr_assert_eq(shutdown(early, SHUT_WR), 0);
    cr_expect_eq(recv(early, back, sizeof(back), MSG_WAITALL), 5);
    cr_expect_str_eq(back, "early");
    (void) close(early);
}

Test(forward, a_refusing_guest_resets) {
    uint16_t port = free_port();
    struct forward_request request = {.guest = GUEST, .count = 1, .rules = {rule(port, IPPROTO_TCP)}};
    request.rules[0].guest = free_port();
    cr_assert_eq(ask(request).error, 0);
    char byte;
    int fd = dial(port, SOCK_STREAM);
    cr_expect_eq(recv(fd, &byte, 1, 0), -1);
    cr_expect_eq(errno, ECONNRESET);
    (void) close(fd);
    request.rules[0].guest = lab.tcp; /* the same place, another port of the guest */
    cr_assert_eq(ask(request).error, 0);
    cr_expect(echoes(dial(port, SOCK_STREAM), "now"));
}

Test(forward, many_connections_at_once) {
    enum { COUNT = 400 };
    uint16_t port = free_port();
    int fds[COUNT];
    cr_assert_eq(ask((struct forward_request){.guest = GUEST, .count = 1, .rules = {rule(port, IPPROTO_TCP)}}).error,
                 0);
    for (int i = 0; i < COUNT; i++)
        fds[i] = dial(port, SOCK_STREAM);
    for (int i = COUNT - 1; i >= 0; i--)
        cr_expect(echoes(fds[i], "hello"), "connection %d", i);
}

Test(forward, datagrams_of_many_clients) {
    enum { COUNT = 700 }; /* more than there may be flows: the oldest give way */
    uint16_t port = free_port();
    cr_assert_eq(ask((struct forward_request){.guest = GUEST, .count = 1, .rules = {rule(port, IPPROTO_UDP)}}).error,
                 0);
    for (int i = 0; i < COUNT; i++) {
        char text[16], back[16] = "";
        int fd = dial(port, SOCK_DGRAM);
        (void) snprintf(text, sizeof(text), "%d", i);
        cr_assert_gt(send(fd, text, strlen(text), 0), 0);
        cr_expect_gt(recv(fd, back, sizeof(back) - 1, 0), 0, "client %d", i);
        cr_expect_str_eq(back, text);
        (void) close(fd);
    }
}
