/* The engine's side of banger-dns: one thread keeps one running and tells it all names; what
 * changes later it is told by whoever changes it. */
#include "internal.h"

#include "../../common/cleanup.h"
#include "../../common/io.h"
#include "../../common/log.h"
#include "../daemon/monitor.h"
#include "../daemon/service.h"
#include "../dns/proto.h"

#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

_Static_assert(DNS_NAME_SIZE == STORE_NAME_MAX, "a VM's name fits");

/* Guards what follows. A wait under it is one for a banger-dns that reads slowly. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int control = -1; /* -1 while none answers */
static struct dns_hello said;

/* --- telling --------------------------------------------------------------------------- */

/* `lock` is held. One that does not take what it is told is ended, and so started again. */
static void tell(const struct vm_record *r) {
    struct dns_name name = {.slot = r->slot};
    if (r->state == VM_RUNNING && r->subnet)
        name.address = addr_guest(r->subnet, r->slot);
    name.ipv6 = name.address && r->ipv6;
    memcpy(name.name, r->name, sizeof(name.name));
    if (control >= 0 && io_write(control, &name, sizeof(name)))
        (void) shutdown(control, SHUT_RDWR);
}

void vm_dns_changed(const struct vm_record *r) {
    (void) pthread_mutex_lock(&lock);
    tell(r);
    (void) pthread_mutex_unlock(&lock);
}

static void tell_running(const struct vm_record *r, void *arg) {
    (void) arg;
    if (r->state == VM_RUNNING)
        tell(r);
}

void vm_dns_status(struct dns_hello *hello, int *pid) {
    (void) pthread_mutex_lock(&lock);
    *hello = said;
    *pid = control >= 0 ? said.pid : 0;
    (void) pthread_mutex_unlock(&lock);
}

/* --- keeping one ----------------------------------------------------------------------- */

static const struct service service = {"banger-dns", monitor_dns};

static int wait_hello(int sock, struct dns_hello *hello, struct err *e) {
    int r = service_hello(&service, sock, hello, sizeof(*hello), e);
    if (r)
        return r;
    hello->user[DNS_USER_SIZE - 1] = hello->text[DNS_TEXT_SIZE - 1] = '\0';
    return hello->error ? err_set(e, hello->error, "%s", hello->text) : 0;
}

/* Keeps what was said, once in the log. */
static void note(const struct dns_hello *hello, const struct err *e) {
    (void) pthread_mutex_lock(&lock);
    const int news = strcmp(said.text, e->text) != 0 && e->code;
    said = *hello;
    said.error = e->code;
    (void) snprintf(said.text, sizeof(said.text), "%.*s", DNS_TEXT_SIZE - 1, e->text);
    (void) pthread_mutex_unlock(&lock);
    if (news)
        log_warn(0, "names of VMs are not answered: %s", e->text);
}

/* The names there are now, and then each change. */
static void serve(int sock, const struct dns_hello *hello) {
    struct err e = {0};
    char place[DNS_PLACE_SIZE];
    (void) pthread_mutex_lock(&lock);
    control = sock;
    if (store_vms(tell_running, NULL, &e))
        log_error(0, "%s", e.text);
    (void) pthread_mutex_unlock(&lock);
    log_info(0, "names of VMs are answered at %s", dns_place(hello, place));
    (void) io_wait(sock, POLLIN, -1); /* its end */
    (void) pthread_mutex_lock(&lock);
    control = -1;
    (void) pthread_mutex_unlock(&lock);
}

/* One banger-dns from its beginning to its end. */
static void keep_one(void) {
    struct err e = {0};
    struct dns_hello hello = {0};
    cleanup_fd int sock = -1;
    cleanup_fd int pidfd = -1;
    int r = service_start(&service, &sock, &pidfd, &e);
    if (r == 0)
        r = wait_hello(sock, &hello, &e);
    note(&hello, &e);
    if (r == 0)
        serve(sock, &hello);
    if (pidfd >= 0)
        (void) vm_pid_kill(pidfd);
}

static void *keeper(void *arg) {
    int nap = 0;
    (void) arg;
    for (;;) {
        const long long began = io_now_ms();
        keep_one();
        nap = service_nap(nap, io_now_ms() - began);
        (void) usleep((useconds_t) nap * 1000);
    }
    return NULL;
}

void vm_dns_begin(void) {
    int r = service_keep(keeper);
    if (r)
        log_error(0, "names of VMs are not answered: no thread for it (%s)", strerror(-r));
}
