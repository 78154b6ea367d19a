/* `banger vm ssh`: OpenSSH's client with banger's own key and known_hosts. Host
 * keys are kept under the VM's id, so a reused address is never taken for an old VM. */
#include "../../common/cleanup.h"
#include "client.h"
#include "key.h"
#include "output.h"
#include "session.h"
#include "signals.h"
#include "vm.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#define FIXED_ARGUMENTS 40

/* "Key=path" for -o, quoted as ssh_config(5) wants: in double quotes, % doubled. */
static void path_setting(char *out, size_t size, const char *key, const char *path) {
    size_t n = (size_t) snprintf(out, size, "%s=\"", key);
    for (const char *p = path; *p && n + 4 < size; p++) {
        if (*p == '%')
            out[n++] = '%';
        out[n++] = *p;
    }
    (void) snprintf(out + n, size - n, "\"");
}

static int exec_ssh(const struct invocation *in, const struct paths *paths, const cJSON *vm, struct err *e) {
    char identity[2 * PATH_MAX], known[2 * PATH_MAX], path[PATH_MAX + 32], alias[64], host[96], setting[96];
    (void) snprintf(path, sizeof(path), "%s/ssh/id_ed25519", paths->state);
    path_setting(identity, sizeof(identity), "IdentityFile", path);
    (void) snprintf(path, sizeof(path), "%s/ssh/known_hosts", paths->state);
    path_setting(known, sizeof(known), "UserKnownHostsFile", path);
    key_alias(output_member(vm, "id"), alias);
    (void) snprintf(setting, sizeof(setting), "HostKeyAlias=%s", alias);
    (void) snprintf(host, sizeof(host), "root@%s", output_member(vm, "address"));
    const char *const fixed[] = {"ssh",
                                 "-F",
                                 "/dev/null",
                                 "-o",
                                 identity,
                                 "-o",
                                 known,
                                 "-o",
                                 setting,
                                 "-o",
                                 "IdentitiesOnly=yes",
                                 "-o",
                                 "GlobalKnownHostsFile=/dev/null",
                                 "-o",
                                 "StrictHostKeyChecking=accept-new",
                                 "-o",
                                 "CheckHostIP=no",
                                 "-o",
                                 "HashKnownHosts=no",
                                 "-o",
                                 "PasswordAuthentication=no",
                                 "-o",
                                 "ConnectTimeout=10",
                                 "-o",
                                 "LogLevel=ERROR",
                                 host,
                                 NULL};
    cleanup_free const char **argv = calloc(FIXED_ARGUMENTS + (size_t) in->after_count + 2, sizeof(*argv));
    if (!argv)
        return err_set(e, ENOMEM, "not enough memory to start ssh");
    size_t n = 0;
    for (; fixed[n]; n++)
        argv[n] = fixed[n];
    if (in->after_count)
        argv[n++] = "--";
    for (int i = 0; i < in->after_count; i++)
        argv[n++] = in->after[i];
    signals_restore();
    (void) execvp("ssh", (char *const *) argv);
    return err_sys(e, errno, "cannot start ssh (is the package openssh-client installed?)");
}

int command_ssh(const struct invocation *in) {
    struct err e = {0};
    char key[KEY_TEXT_MAX];
    cJSON *vm = NULL;
    const struct paths *paths = client_paths(&e);
    int r = paths ? key_public(paths, key, &e) : -EIO;
    if (r == 0)
        r = client_simple("vm.show", client_named(in->arguments[0]), &vm, &e);
    if (r == 0 && (strcmp(output_member(vm, "state"), "running") != 0 || !*output_member(vm, "address")))
        r = err_set(&e, EAGAIN, "%s is not running: start it with `banger vm start %s`", in->arguments[0],
                    in->arguments[0]);
    if (r == 0)
        r = exec_ssh(in, paths, vm, &e);
    cJSON_Delete(vm);
    int status = session_failed(r, &e);
    return status == EXIT_OWN ? 255 : status; /* as ssh(1) does */
}
