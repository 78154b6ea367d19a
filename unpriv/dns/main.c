/* banger-dns: answers for the `.vm` names of an account's running VMs. The monitor starts it, and
 * the engine tells it who runs; what it parses is what any account of this host may send. */
#include "../../common/cleanup.h"
#include "../../common/io.h"
#include "account.h"
#include "serve.h"

#include <errno.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static struct serve serve = {.control = DNS_FD_CONTROL, .udp = -1, .tcp = -1};
static struct policy_file file;

static int set_up(struct dns_hello *hello, struct err *e) {
    if (dup2(STDOUT_FILENO, STDERR_FILENO) < 0) /* nothing is said there, and no file stays open */
        return err_sys(e, errno, "banger-dns was started without a standard output");
    const struct passwd *account = getpwuid(getuid());
    account_label(account ? account->pw_name : "", hello->user);
    policy_refresh(&file, BANGER_POLICY);
    hello->port = DNS_PORT;
    hello->address = account_address(&file.policy, getuid());
    if (hello->address == 0)
        return err_set(e, ENOENT, "%s gives this account no addresses, so it has no names either", BANGER_POLICY);
    memcpy(serve.zone.user, hello->user, sizeof(serve.zone.user));
    serve.zone.subnet = policy_subnet(&file.policy, getuid());
    serve.zone.server = hello->address;
    serve.zone.serial = (uint32_t) time(NULL);
    int r = serve_bind(&serve, hello->address, e);
    return r ? r : dns_confine(e);
}

int main(void) {
    struct dns_hello hello = {.pid = getpid()};
    struct err e = {0};
    (void) signal(SIGPIPE, SIG_IGN);
    int r = set_up(&hello, &e);
    hello.error = -r;
    (void) snprintf(hello.text, sizeof(hello.text), "%.*s", DNS_TEXT_SIZE - 1, r ? e.text : "");
    if (send(DNS_FD_CONTROL, &hello, sizeof(hello), MSG_NOSIGNAL) != (ssize_t) sizeof(hello) || r)
        return 1;
    return serve_run(&serve) ? 1 : 0;
}
