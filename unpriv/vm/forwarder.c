#include "forwarder.h"

#include "../../common/cleanup.h"
#include "../../common/io.h"
#include "../../common/log.h"
#include "../daemon/monitor.h"
#include "../forward/spec.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define REPLY_MS    10000
#define WATCH_STACK 131072

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int sock = -1;
static uint32_t last_id;
static void (*_Atomic end_hook)(void); /* none yet while start-up mends VMs, before it restores their ports */

void forwarder_on_end(void (*hook)(void)) {
    end_hook = hook;
}

/* --- watching over it ------------------------------------------------------------------- */

static void *wait_for_end(void *arg) {
    struct pollfd p = {.fd = (int) (intptr_t) arg};
    while (poll(&p, 1, -1) <= 0)
        continue;
    (void) close(p.fd);
    void (*hook)(void) = end_hook;
    if (hook)
        hook();
    return NULL;
}

static void watch_over(void) {
    pthread_t thread;
    pthread_attr_t attr;
    int fd = fcntl(sock, F_DUPFD_CLOEXEC, 3);
    (void) pthread_attr_init(&attr);
    (void) pthread_attr_setstacksize(&attr, WATCH_STACK);
    (void) pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    int r = fd < 0 ? errno : pthread_create(&thread, &attr, wait_for_end, (void *) (intptr_t) fd);
    (void) pthread_attr_destroy(&attr);
    if (r)
        log_error(0, "cannot watch over banger-forward: %s", strerror(r));
    if (r && fd >= 0)
        (void) close(fd);
}

/* --- one round trip ------------------------------------------------------------------------ */

static void hang_up(void) {
    if (sock >= 0)
        (void) close(sock);
    sock = -1;
}

static int connected(int start, struct err *e) {
    struct pollfd p = {.fd = sock};
    if (sock >= 0 && poll(&p, 1, 0) > 0 && (p.revents & (POLLHUP | POLLERR)))
        hang_up();
    if (sock >= 0)
        return 0;
    sock = monitor_forward(start, e);
    if (sock < 0)
        return sock;
    watch_over();
    return 0;
}

/* An answer with another id was for an engine that is no more. */
static int round_trip(struct forward_request *request, struct forward_reply *reply) {
    ssize_t n = send(sock, request, sizeof(*request), MSG_NOSIGNAL);
    int r = n == (ssize_t) sizeof(*request) ? 0 : -EPIPE;
    while (r == 0) {
        r = io_wait(sock, POLLIN, REPLY_MS);
        if (r)
            break;
        n = recv(sock, reply, sizeof(*reply), MSG_DONTWAIT);
        if (n != (ssize_t) sizeof(*reply))
            r = -EPIPE;
        else if (reply->id == request->id)
            return 0;
    }
    hang_up();
    return r;
}

/* All that it is told can be told twice. */
static int ask(struct forward_request *request, struct forward_reply *reply, struct err *e) {
    (void) pthread_mutex_lock(&lock);
    if (last_id == 0)
        last_id = (uint32_t) io_now_ms(); /* past all of the last engine's */
    request->version = FORWARD_VERSION;
    request->id = ++last_id;
    int r = connected(request->count > 0, e);
    int lost = r ? 0 : round_trip(request, reply);
    if (lost && (r = connected(request->count > 0, e)) == 0)
        lost = round_trip(request, reply);
    (void) pthread_mutex_unlock(&lock);
    if (r || !lost)
        return r;
    return err_sys(e, -lost, "banger-forward does not answer: see bangerd.log");
}

/* --- sentences ------------------------------------------------------------------------------- */

struct search {
    uint32_t slot;
    char name[STORE_NAME_MAX];
};

static void look_at(const struct vm_record *r, void *arg) {
    struct search *search = arg;
    if (r->slot == search->slot)
        (void) snprintf(search->name, sizeof(search->name), "%s", r->name);
}

static int refused(const struct publish *publish, const struct forward_reply *reply, struct err *e) {
    char address[PUBLISH_TEXT_MAX];
    struct search search = {.slot = reply->slot};
    const char *protocol = publish->protocol == IPPROTO_UDP ? "UDP" : "TCP";
    publish_address(publish, address);
    switch (reply->error) {
    case EADDRINUSE:
        if (reply->slot != FORWARD_NO_SLOT)
            (void) store_vms(look_at, &search, NULL);
        return err_set(e, EADDRINUSE, "%s port %u of %s is taken by %s%s: publish another, or end what has it",
                       protocol, publish->host, address, search.name[0] ? "VM " : "another program", search.name);
    case EACCES:
        return err_set(e, EACCES,
                       "port %u is privileged, this account cannot listen there: publish one from "
                       "net.ipv4.ip_unprivileged_port_start on (1024 where nobody changed it)",
                       publish->host);
    case EADDRNOTAVAIL:
    case EAFNOSUPPORT:
        return err_set(e, reply->error,
                       "this host has no address %s to publish port %u at: `ip addr` shows those it has", address,
                       publish->host);
    default:
        return err_sys(e, reply->error, "cannot publish %s port %u of %s", protocol, publish->host, address);
    }
}

/* --- calls ------------------------------------------------------------------------------------- */

int forwarder_set(const struct vm_record *r, uint32_t guest, uint32_t flags, struct err *e) {
    struct forward_request request = {.slot = r->slot, .guest = guest, .flags = flags};
    struct forward_reply reply = {0};
    struct publish_list list;
    uint32_t of[FORWARD_RULES_MAX + 1]; /* which of the list a rule is for */
    publish_list_read(r->publish, &list);
    for (size_t i = 0; i < list.count; i++) {
        size_t count = publish_rules(&list.items[i], &request.rules[request.count]);
        for (size_t k = 0; k < count; k++)
            of[request.count++] = (uint32_t) i;
    }
    int rc = ask(&request, &reply, e);
    if (rc == -ENOENT && request.count == 0)
        return 0;
    if (rc || reply.error == 0)
        return rc;
    if (reply.rule >= request.count)
        return err_sys(e, reply.error, "banger-forward refused a request");
    return refused(&list.items[of[reply.rule]], &reply, e);
}

void forwarder_end(uint32_t slot) {
    const struct vm_record nothing = {.slot = slot};
    struct err e;
    if (forwarder_set(&nothing, 0, 0, &e))
        log_error(0, "slot %u: %s", slot, e.text);
}
