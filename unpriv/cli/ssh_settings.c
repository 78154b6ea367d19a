#include "ssh_settings.h"

#include "key.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

/* What a guest's server may want of its client is refused: it is a sandbox's. */
static const struct {
    const char *key;
    int in_state; /* the value is below the state folder */
    const char *value;
} settings[SSH_SETTINGS] = {
    {"User", 0, "root"},
    {"IdentityFile", 1, "/ssh/id_ed25519"},
    {"IdentitiesOnly", 0, "yes"},
    {"PasswordAuthentication", 0, "no"},
    {"ForwardAgent", 0, "no"},
    {"ForwardX11", 0, "no"},
    {"UserKnownHostsFile", 1, "/ssh/hosts/%h"},
    {"GlobalKnownHostsFile", 0, "/dev/null"},
    {"StrictHostKeyChecking", 0, "accept-new"},
    {"HashKnownHosts", 0, "no"},
    {"ProxyCommand", 0, BANGER_BINDIR "/banger ssh-proxy '%h' %p"},
    {"ProxyUseFdpass", 0, "yes"},
    {"ConnectTimeout", 0, "10"},
    {"LogLevel", 0, "ERROR"},
};

/* In double quotes, % doubled, is all the quoting that ssh_config(5) has; ${} is a variable in it. */
static int quote(char *out, size_t size, const char *path, struct err *e) {
    size_t n = 0;
    for (const char *p = path; *p && n + 2 < size; p++) {
        if (strchr("\"\\$", *p) || (unsigned char) *p < ' ')
            return err_set(
                e, EINVAL,
                "ssh cannot be told of the folder %s: set XDG_STATE_HOME to one without quotes, backslashes, "
                "dollar and control characters",
                path);
        if (*p == '%')
            out[n++] = '%';
        out[n++] = *p;
    }
    out[n] = '\0';
    return 0;
}

int ssh_setting(const struct paths *paths, size_t index, const char *between, char out[SSH_SETTING_MAX],
                struct err *e) {
    char folder[2 * PATH_MAX] = "";
    const int in_state = settings[index].in_state;
    if (in_state && quote(folder, sizeof(folder), paths->state, e))
        return -EINVAL;
    (void) snprintf(out, SSH_SETTING_MAX, "%s%s%s%.*s%s%s", settings[index].key, between, in_state ? "\"" : "",
                    2 * PATH_MAX, folder, settings[index].value, in_state ? "\"" : "");
    return 0;
}

int ssh_settings_prepare(const struct paths *paths, struct err *e) {
    char key[KEY_TEXT_MAX], folder[PATH_MAX + 16];
    int r = key_public(paths, key, e);
    (void) snprintf(folder, sizeof(folder), "%s/ssh/hosts", paths->state);
    if (r == 0 && mkdir(folder, 0700) && errno != EEXIST)
        r = err_sys(e, errno, "cannot make %s", folder);
    return r;
}
