/* `banger vm ssh`, and `banger ssh-proxy`, by which ssh gets its connection there and where
 * `banger ssh-config` is installed. */
#include "ssh.h"

#include "../../common/cleanup.h"
#include "../../common/fdpass.h"
#include "../../common/io.h"
#include "client.h"
#include "output.h"
#include "session.h"
#include "signals.h"
#include "ssh_settings.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pwd.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define FIXED_ARGUMENTS (2 * SSH_SETTINGS + 6)
#define CONNECT_MS      10000 /* for the guest's kernel to answer */
#define BOOT_MS         60000 /* a guest that is younger may have an ssh server yet */
#define SAY_MS          1000
#define NAP_MS          100

/* --- vm ssh -------------------------------------------------------------------------- */

static int exec_ssh(const struct invocation *in, const struct paths *paths, const cJSON *vm, struct err *e) {
    static char settings[SSH_SETTINGS][SSH_SETTING_MAX];
    char host[96];
    size_t n = 0;
    for (size_t i = 0; i < SSH_SETTINGS; i++) {
        int r = ssh_setting(paths, i, "=", settings[i], e);
        if (r)
            return r;
    }
    cleanup_free const char **argv = calloc(FIXED_ARGUMENTS + (size_t) in->after_count, sizeof(*argv));
    if (!argv)
        return err_set(e, ENOMEM, "not enough memory to start ssh");
    argv[n++] = "ssh";
    argv[n++] = "-F"; /* the user's own settings are for `ssh NAME.vm` */
    argv[n++] = "/dev/null";
    for (size_t i = 0; i < SSH_SETTINGS; i++) {
        argv[n++] = "-o";
        argv[n++] = settings[i];
    }
    (void) snprintf(host, sizeof(host), "%s.vm", output_member(vm, "name"));
    argv[n++] = host;
    if (in->after_count)
        argv[n++] = "--";
    for (int i = 0; i < in->after_count; i++)
        argv[n++] = in->after[i];
    signals_restore();
    (void) execvp("ssh", (char *const *) argv);
    return err_sys(e, errno, "cannot start ssh (is the package openssh-client installed?)");
}

/* The VM, which runs. */
static int running_vm(const char *name, cJSON **vm, struct err *e) {
    cJSON *args = client_named(name);
    (void) cJSON_AddBoolToObject(args, "touch", 1);
    int r = client_simple("vm.show", args, vm, e);
    if (r == 0 && (strcmp(output_member(*vm, "state"), "running") != 0 || !*output_member(*vm, "address")))
        r = err_set(e, EAGAIN, "%s is not running: start it with `banger vm start %s`", name, name);
    return r;
}

int command_ssh(const struct invocation *in) {
    struct err e = {0};
    cJSON *vm = NULL;
    const struct paths *paths = client_paths(&e);
    int r = paths ? ssh_settings_prepare(paths, &e) : -EIO;
    if (r == 0)
        r = running_vm(in->arguments[0], &vm, &e);
    if (r == 0)
        r = exec_ssh(in, paths, vm, &e);
    cJSON_Delete(vm);
    int status = session_failed(r, &e);
    return status == EXIT_OWN ? 255 : status; /* as ssh(1) does */
}

/* --- ssh-proxy ----------------------------------------------------------------------- */

static void cut_end(char *text, const char *end) {
    const size_t length = strlen(text), size = strlen(end);
    if (size > 0 && length > size + 1 && text[length - size - 1] == '.' && strcasecmp(text + length - size, end) == 0)
        text[length - size - 1] = '\0';
}

void ssh_vm_name(const char *host, const char *account, char out[SSH_HOST_MAX]) {
    (void) snprintf(out, SSH_HOST_MAX, "%s", host);
    cut_end(out, "vm");
    cut_end(out, account);
    for (char *c = out; *c; c++)
        *c = (char) (*c >= 'A' && *c <= 'Z' ? *c - 'A' + 'a' : *c);
}

/* One try: the socket, or a negative errno. */
static int try_once(const struct sockaddr_in *to) {
    int code = 0;
    socklen_t size = sizeof(code);
    cleanup_fd int sock = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (sock < 0)
        return -errno;
    if (connect(sock, (const struct sockaddr *) to, sizeof(*to)) == 0)
        return take_fd(&sock);
    int r = errno == EINPROGRESS ? io_wait(sock, POLLOUT, CONNECT_MS) : -errno;
    if (r == 0 && getsockopt(sock, SOL_SOCKET, SO_ERROR, &code, &size))
        r = -errno;
    r = r ? r : -code;
    return r ? r : take_fd(&sock);
}

/* The guest is there before its ssh server: a young one is asked again. */
static int connect_vm(const cJSON *vm, uint16_t port, struct err *e) {
    const char *name = output_member(vm, "name");
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port)};
    if (inet_pton(AF_INET, output_member(vm, "address"), &to.sin_addr) != 1)
        return err_set(e, EPROTO, "bangerd gives %s no address: `banger vm show %s` tells more", name, name);
    const long long began = io_now_ms(), patience = BOOT_MS - output_number(vm, "uptime_ms");
    int said = 0, sock = try_once(&to);
    while (sock == -ECONNREFUSED && io_now_ms() - began < patience && !signals_ending()) {
        if (!said && io_now_ms() - began > SAY_MS)
            said = fprintf(stderr, "banger: waiting for the ssh server of %s\n", name);
        (void) poll(NULL, 0, NAP_MS);
        sock = try_once(&to);
    }
    if (sock == -ECONNREFUSED)
        return err_set(e, ECONNREFUSED,
                       "%s has nothing that answers on port %u: images without an ssh server get one with "
                       "`banger vm create --with-ssh`; `banger vm exec %s` needs none",
                       name, port, name);
    return sock < 0 ? err_sys(e, -sock, "cannot connect to %s", name) : sock;
}

/* ssh (ProxyUseFdpass) takes the connection with one byte; it wants a blocking one. */
static int hand_over(int sock, struct err *e) {
    int kind = 0;
    socklen_t size = sizeof(kind);
    if (getsockopt(STDOUT_FILENO, SOL_SOCKET, SO_DOMAIN, &kind, &size) || kind != AF_UNIX)
        return err_set(e, ENOTSOCK, "ssh-proxy is for ssh's ProxyCommand with ProxyUseFdpass: use `banger vm ssh`");
    int r = fcntl(sock, F_SETFL, 0) < 0 ? -errno : fdpass_send(STDOUT_FILENO, "", 1, &sock, 1);
    return r ? err_sys(e, -r, "cannot hand ssh its connection") : 0;
}

int command_ssh_proxy(const struct invocation *in) {
    struct err e = {0};
    char name[SSH_HOST_MAX];
    cJSON *vm = NULL;
    char *end = NULL;
    const long port = in->argument_count > 1 ? strtol(in->arguments[1], &end, 10) : 22;
    const struct passwd *account = getpwuid(getuid());
    const struct paths *paths = client_paths(&e);
    if ((end && *end) || port < 1 || port > 65535) {
        (void) err_set(&e, EINVAL, "\"%.20s\" is no port: give one from 1 to 65535", in->arguments[1]);
        output_error(&e);
        return EXIT_USAGE;
    }
    ssh_vm_name(in->arguments[0], account ? account->pw_name : "", name);
    int r = paths ? ssh_settings_prepare(paths, &e) : -EIO;
    if (r == 0)
        r = running_vm(name, &vm, &e);
    cleanup_fd int sock = r ? r : connect_vm(vm, (uint16_t) port, &e);
    r = sock < 0 ? sock : hand_over(sock, &e);
    cJSON_Delete(vm);
    return r < 0 ? session_failed(r, &e) : 0;
}
