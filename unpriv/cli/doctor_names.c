#include "doctor.h"

#include "../../common/cleanup.h"
#include "../dns/account.h"
#include "../dns/zone.h"
#include "client.h"
#include "file.h"
#include "output.h"
#include "ssh_fence.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FIRST     "127.0.0.1" /* where the first account's names are answered */
#define FILE_MOST 65536
#define PAGE      BANGER_DATADIR "/dns-routing.md"

/* --- .vm ------------------------------------------------------------------------------- */

/* Who answers the system's names here, as far as its files say. */
enum resolver { RESOLVER_NONE, RESOLVER_RESOLVED, RESOLVER_NM_DNSMASQ, RESOLVER_DNSMASQ };

static int has_line(const char *path, const char *begin, const char *wanted) {
    cleanup_file FILE *f = fopen(path, "re");
    char line[512];
    while (f && fgets(line, sizeof(line), f)) {
        const char *text = line + strspn(line, " \t");
        if (strncmp(text, begin, strlen(begin)) == 0 && strstr(text, wanted))
            return 1;
    }
    return 0;
}

static enum resolver find_resolver(void) {
    static const char resolv[] = "/etc/resolv.conf", stub[] = "127.0.0.53";
    if (has_line(resolv, "nameserver", stub) || has_line("/etc/nsswitch.conf", "hosts:", " resolve"))
        return RESOLVER_RESOLVED;
    if (has_line("/etc/NetworkManager/NetworkManager.conf", "dns", "dnsmasq") ||
        access("/run/NetworkManager/dnsmasq.pid", F_OK) == 0 ||
        access("/run/NetworkManager/NetworkManager-dnsmasq.pid", F_OK) == 0)
        return RESOLVER_NM_DNSMASQ;
    if (has_line(resolv, "nameserver", " 127.") &&
        (access("/etc/dnsmasq.d", F_OK) == 0 || access("/etc/dnsmasq.conf", F_OK) == 0))
        return RESOLVER_DNSMASQ;
    return RESOLVER_NONE;
}

static void remedy_of(const char *zone, const char *address, char *out, size_t size) {
    const enum resolver resolver = find_resolver();
    if (resolver == RESOLVER_RESOLVED && strcmp(address, FIRST) == 0)
        (void) snprintf(out, size, "have the administrator run `systemctl enable --now banger-names`; see " PAGE);
    else if (resolver == RESOLVER_NM_DNSMASQ || resolver == RESOLVER_DNSMASQ)
        (void) snprintf(out, size, "have the administrator write `server=/%s/%s#%d` to %s and run `%s`; see " PAGE,
                        zone, address, DNS_PORT,
                        resolver == RESOLVER_DNSMASQ ? "/etc/dnsmasq.d/banger.conf"
                                                     : "/etc/NetworkManager/dnsmasq.d/banger.conf",
                        resolver == RESOLVER_DNSMASQ ? "systemctl restart dnsmasq" : "systemctl reload NetworkManager");
    else
        (void) snprintf(out, size,
                        "`banger ssh-config --install` has ssh find VMs all the same; for other programs see " PAGE);
}

/* The first of the resolver's addresses for `name`, or "". It gets a second for each server it knows. */
static void ask(const char *name, char out[INET_ADDRSTRLEN]) {
    const struct addrinfo hints = {.ai_family = AF_INET, .ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;
    struct sockaddr_in address;
    out[0] = '\0';
    (void) setenv("RES_OPTIONS", "timeout:1 attempts:1", 1);
    if (getaddrinfo(name, NULL, &hints, &found))
        return;
    memcpy(&address, found->ai_addr, sizeof(address));
    (void) inet_ntop(AF_INET, &address.sin_addr, out, INET_ADDRSTRLEN);
    freeaddrinfo(found);
}

/* The first account's names are NAME.vm for the whole system, the others' are NAME.ACCOUNT.vm. */
static void check_routing(cJSON *checks, const char *address) {
    char user[DNS_USER_SIZE], zone[DNS_USER_SIZE + 4], name[DNS_USER_SIZE + 16], got[INET_ADDRSTRLEN], remedy[400];
    const struct passwd *account = getpwuid(getuid());
    account_label(account ? account->pw_name : "", user);
    const int first = strcmp(address, FIRST) == 0;
    (void) snprintf(zone, sizeof(zone), "%s%svm", first ? "" : user, first || !*user ? "" : ".");
    (void) snprintf(name, sizeof(name), ZONE_SERVER ".%s.", zone);
    ask(name, got);
    remedy_of(zone, address, remedy, sizeof(remedy));
    if (strcmp(got, address) == 0)
        doctor_add(checks, "names", PASS, "", "this system asks %s for names in %s", address, zone);
    else if (*got)
        doctor_add(checks, "names", WARN, remedy, "this system asks %s for names in %s, and not %s", got, zone,
                   address);
    else
        doctor_add(checks, "names", WARN, remedy, "this system does not ask %s for names in %s", address, zone);
}

/* --- ssh ------------------------------------------------------------------------------- */

static void check_ssh(cJSON *checks) {
    static char text[FILE_MOST];
    char path[PATH_MAX];
    struct err e = {0};
    size_t at = 0, length = 0;
    const struct passwd *account = getpwuid(getuid());
    if (!account)
        return;
    (void) snprintf(path, sizeof(path), "%s/.ssh/config", account->pw_dir);
    ssize_t n = file_read(path, text, sizeof(text), &e);
    if (n < 0 || fence_find(text, (size_t) n, &at, &length, &e))
        doctor_add(checks, "ssh-config", WARN, "correct it, then run `banger ssh-config --install`", "%s: %s", path,
                   e.text);
    else if (length)
        doctor_add(checks, "ssh-config", PASS, "", "`ssh NAME.vm` is set up in %s", path);
    else
        doctor_add(checks, "ssh-config", PASS, "",
                   "`banger vm ssh` alone: `banger ssh-config --install` sets up `ssh NAME.vm`");
}

void doctor_names(cJSON *checks, const char *server) {
    char address[INET_ADDRSTRLEN] = "";
    (void) snprintf(address, sizeof(address), "%.*s", (int) strcspn(server, ":"), server);
    if (*address)
        check_routing(checks, address);
    check_ssh(checks);
}
