#include "doctor.h"

#include "../../common/cleanup.h"
#include "../../common/version.h"
#include "client.h"
#include "config.h"
#include "output.h"
#include "privileges.h"
#include "signals.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/fs.h>
#include <linux/xattr.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/utsname.h>
#include <sys/xattr.h>
#include <unistd.h>

#define HELPER_PATH    BANGER_LIBEXECDIR "/banger-helper"
#define HELPER_MODE    0750
#define DISK_LEAST     (4LL << 30)
#define SUBUIDS_LEAST  65536L
#define INSTALL_REMEDY "have the administrator run `make install`"

void doctor_add(cJSON *checks, const char *name, enum verdict verdict, const char *remedy, const char *fmt, ...) {
    static const char *const words[] = {"PASS", "WARN", "FAIL"};
    char text[ERR_TEXT_MAX];
    va_list args;
    va_start(args, fmt);
    /* NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized): started one line above */
    (void) vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    cJSON *check = client_named(name);
    (void) cJSON_AddStringToObject(check, "status", words[verdict]);
    (void) cJSON_AddStringToObject(check, "text", text);
    (void) cJSON_AddStringToObject(check, "remedy", verdict == PASS ? "" : remedy);
    (void) cJSON_AddItemToArray(checks, check);
}

static void check_architecture(cJSON *checks) {
    struct utsname u;
    int known = uname(&u) == 0;
    int good = known && strcmp(u.machine, "x86_64") == 0;
    doctor_add(checks, "architecture", good ? PASS : FAIL, "banger runs on x86_64 only: use such a machine",
               "%s, Linux %s", known ? u.machine : "unknown", known ? u.release : "unknown");
}

/* The helper's permitted file capabilities against the three it needs, without the
 * effective bit (struct vfs_cap_data, capabilities(7)). */
static int capabilities_good(const char *path) {
    struct vfs_cap_data data;
    ssize_t n = getxattr(path, XATTR_NAME_CAPS, &data, sizeof(data));
    if (n < (ssize_t) XATTR_CAPS_SZ_2)
        return 0;
    const uint32_t wanted = 1u << CAP_NET_ADMIN | 1u << CAP_SYS_ADMIN | 1u << CAP_MKNOD;
    return data.data[0].permitted == wanted && data.data[1].permitted == 0 &&
           !(data.magic_etc & VFS_CAP_FLAGS_EFFECTIVE);
}

static void check_helper(cJSON *checks) {
    struct stat st;
    if (stat(HELPER_PATH, &st) < 0) {
        doctor_add(checks, "helper", FAIL, INSTALL_REMEDY, "%s is missing", HELPER_PATH);
        return;
    }
    const struct group *group = getgrgid(st.st_gid);
    int owned = st.st_uid == 0 && group && strcmp(group->gr_name, "banger") == 0;
    int mode = (st.st_mode & 07777) == HELPER_MODE;
    int good = owned && mode && capabilities_good(HELPER_PATH);
    doctor_add(checks, "helper", good ? PASS : FAIL, INSTALL_REMEDY " again",
               "%s: owner %s, mode %04o%s, capabilities %s", HELPER_PATH, owned ? "root:banger" : "not root:banger",
               st.st_mode & 07777u, mode ? "" : " instead of 0750",
               capabilities_good(HELPER_PATH) ? "right" : "missing or wrong");
}

static int in_session(gid_t wanted) {
    int count = getgroups(0, NULL);
    gid_t *groups = count > 0 ? calloc((size_t) count, sizeof(*groups)) : NULL;
    count = groups ? getgroups(count, groups) : 0;
    int found = getegid() == wanted;
    for (int i = 0; i < count; i++)
        found |= groups[i] == wanted;
    free(groups);
    return found;
}

static void check_group(cJSON *checks) {
    const struct group *group = getgrnam("banger");
    const struct passwd *account = getpwuid(getuid());
    const char *name = account ? account->pw_name : "this account";
    char remedy[256];
    if (!group) {
        doctor_add(checks, "group", FAIL, INSTALL_REMEDY, "the group banger does not exist");
        return;
    }
    if (in_session(group->gr_gid)) {
        doctor_add(checks, "group", PASS, "", "%s is in group banger", name);
        return;
    }
    for (char **member = group->gr_mem; *member; member++) {
        if (strcmp(*member, name) == 0) {
            doctor_add(checks, "group", FAIL, "log out and in again, or run `newgrp banger`",
                       "%s is in group banger, but this session began before that", name);
            return;
        }
    }
    (void) snprintf(remedy, sizeof(remedy), "have the administrator run `adduser %s banger`, then log in again", name);
    doctor_add(checks, "group", FAIL, remedy, "%s is not in group banger", name);
}

static void check_privileges(cJSON *checks) {
    int off = prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 0;
    doctor_add(
        checks, "no_new_privs", off ? PASS : FAIL,
        "start banger outside the sandbox or service that sets no_new_privs: under it the helper gets no capabilities",
        off ? "not set" : "set for this session");
    doctor_add(checks, "account", getuid() ? PASS : WARN, "run banger as a normal account",
               getuid() ? "not root" : "root");
}

/* What it says of this account, and where. */
static void check_policy_line(cJSON *checks) {
    cJSON *policy = privileges_policy(getuid());
    int allowed = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(policy, "allowed"));
    char line[128] = "";
    if (cJSON_HasObjectItem(policy, "line"))
        (void) snprintf(line, sizeof(line), ", line %d: %.60s%s", (int) output_number(policy, "line"),
                        output_member(policy, "text"), output_member(policy, "problem"));
    if (allowed)
        doctor_add(checks, "policy", PASS, "", "%s%s", BANGER_POLICY, line);
    else
        doctor_add(checks, "policy", FAIL, "see what applies with `banger doctor --privileges`", "%s%s",
                   output_member(policy, "reason"), line);
    cJSON_Delete(policy);
}

static void check_policy(cJSON *checks) {
    struct stat st;
    if (stat(BANGER_POLICY, &st) < 0)
        doctor_add(checks, "policy", FAIL, INSTALL_REMEDY, "%s is missing, so nothing is allowed", BANGER_POLICY);
    else if (st.st_uid != 0 || (st.st_mode & 022))
        doctor_add(checks, "policy", FAIL,
                   "have the administrator run `chown root: " BANGER_POLICY "; chmod 644 " BANGER_POLICY "`",
                   "%s is not root's alone, so it is not believed", BANGER_POLICY);
    else
        check_policy_line(checks);
}

/* A program in PATH, or /usr/sbin. */
static int have_program(const char *name) {
    const char *path = getenv("PATH");
    char folders[4096];
    (void) snprintf(folders, sizeof(folders), "%s:/usr/sbin:/sbin", path ? path : "/usr/bin:/bin");
    char *rest = folders;
    for (char *folder; (folder = strsep(&rest, ":"));) {
        char full[PATH_MAX];
        (void) snprintf(full, sizeof(full), "%s/%s", folder, name);
        if (*folder && access(full, X_OK) == 0)
            return 1;
    }
    return 0;
}

static void check_programs(cJSON *checks) {
    static const struct {
        const char *program, *package, *what;
        enum verdict without;
    } programs[] = {
        {"qemu-system-x86_64", "qemu-system-x86", "runs the guests", FAIL},
        {"mmdebstrap", "mmdebstrap", "makes Debian images", FAIL},
        {"newuidmap", "uidmap", "lets mmdebstrap work without root", FAIL},
        {"git", "git", "reads workspaces", WARN},
        {"ssh", "openssh-client", "for `banger vm ssh`", WARN},
        {"ssh-keygen", "openssh-client", "makes banger's key", FAIL},
    };
    for (size_t i = 0; i < sizeof(programs) / sizeof(programs[0]); i++) {
        char remedy[128];
        (void) snprintf(remedy, sizeof(remedy), "have the administrator run `apt install %s`", programs[i].package);
        int have = have_program(programs[i].program);
        doctor_add(checks, programs[i].program, have ? PASS : programs[i].without, remedy, "%s%s",
                   have ? "" : "missing: ", programs[i].what);
    }
}

/* The longest range that /etc/subuid or /etc/subgid gives the account (subuid(5)). */
static long range_of(const char *file, const char *name, uid_t uid) {
    cleanup_file FILE *f = fopen(file, "re");
    char line[256], number[16];
    long most = 0;
    (void) snprintf(number, sizeof(number), "%u", uid);
    while (f && fgets(line, sizeof(line), f)) {
        char *rest = line;
        const char *who = strsep(&rest, ":"), *first = strsep(&rest, ":");
        long count = first && rest ? strtol(rest, NULL, 10) : 0;
        if ((strcmp(who, name) == 0 || strcmp(who, number) == 0) && count > most)
            most = count;
    }
    return most;
}

static void check_subuid(cJSON *checks) {
    const struct passwd *account = getpwuid(getuid());
    const char *name = account ? account->pw_name : "?";
    long users = range_of("/etc/subuid", name, getuid()), groups = range_of("/etc/subgid", name, getuid());
    char remedy[256];
    (void) snprintf(remedy, sizeof(remedy),
                    "have the administrator run `usermod --add-subuids 100000-165535 --add-subgids 100000-165535 %s` "
                    "with a free range",
                    name);
    int good = users >= SUBUIDS_LEAST && groups >= SUBUIDS_LEAST;
    doctor_add(checks, "subuid", good || getuid() == 0 ? PASS : FAIL, remedy, "%ld user and %ld group ids for %s",
               users, groups, name);
}

static void check_disk(cJSON *checks) {
    struct err e = {0};
    const struct paths *paths = client_paths(&e);
    if (!paths) {
        doctor_add(checks, "folders", FAIL, "make the folder writable, or move it with the variable named", "%s",
                   e.text);
        return;
    }
    struct statvfs fs;
    char free_text[32];
    int64_t left = statvfs(paths->state, &fs) == 0 ? (int64_t) fs.f_bavail * (int64_t) fs.f_frsize : 0;
    output_bytes(left, free_text);
    doctor_add(checks, "disk", left >= DISK_LEAST ? PASS : WARN, "free at least 4 GiB, or move it with XDG_STATE_HOME",
               "%s free in %s", free_text, paths->state);
}

/* Whether a file in `folder` can share another's blocks (FICLONE, ioctl_ficlone(2)). */
static int has_reflinks(const char *folder) {
    cleanup_fd int from = open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    cleanup_fd int to = open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    return from >= 0 && to >= 0 && write(from, "", 1) == 1 && ioctl(to, FICLONE, from) == 0;
}

/* How `vm create` makes a root disk here, unless config.toml says otherwise. */
static void check_root_disks(cJSON *checks) {
    struct err e = {0};
    const struct paths *paths = client_paths(&e);
    if (!paths)
        return;
    if (has_reflinks(paths->state))
        doctor_add(checks, "root disks", PASS, "", "reflinks of their image: %s can", paths->state);
    else
        doctor_add(checks, "root disks", PASS, "",
                   "no reflinks in %s: snapshots where device-mapper works (tried below), else copies", paths->state);
}

static void check_kvm(cJSON *checks) {
    struct stat st;
    int there = stat("/dev/kvm", &st) == 0 && S_ISCHR(st.st_mode);
    doctor_add(checks, "/dev/kvm", there ? PASS : WARN,
               "switch virtualisation on in the firmware; without it guests are emulated, which is slower",
               there ? "there (whether it works is tried below)" : "missing");
}

/* The defaults of `vm run` and where each comes from. */
static void check_config(cJSON *checks) {
    struct err e = {0};
    if (config_load(&e) < 0) {
        doctor_add(checks, "config", FAIL, "correct that line", "%s", e.text);
        return;
    }
    for (enum config_key key = 0; key < CONFIG_KEYS; key++) {
        char value[CONFIG_TEXT_MAX], origin[ERR_TEXT_MAX];
        config_show(key, value, sizeof(value));
        config_origin(key, origin, sizeof(origin));
        doctor_add(checks, "config", PASS, "", "%s = %s (%s)", config_name(key), value, origin);
    }
}

/* Is it the one installed? */
static void check_age(cJSON *checks, const cJSON *status) {
    char text[ERR_TEXT_MAX];
    if (client_daemon_differs(status, text))
        doctor_add(checks, "daemon", WARN, CLIENT_DIFFERS_REMEDY, "%s", text);
    else
        doctor_add(checks, "daemon", PASS, "", "bangerd answers, and is the one installed");
}

/* What only the engine can try, or why it cannot be asked. */
static void check_daemon(cJSON *checks) {
    struct err e = {0};
    cJSON *result = NULL, *status = NULL;
    if (client_simple("daemon.doctor", NULL, &result, &e) < 0 ||
        client_simple("daemon.status", NULL, &status, &e) < 0) {
        doctor_add(checks, "daemon", FAIL, "mend what fails above first; then see bangerd.log", "%s",
                   signals_ending() ? "interrupted" : e.text);
        cJSON_Delete(result);
        return;
    }
    check_age(checks, status);
    cJSON *more = cJSON_GetObjectItemCaseSensitive(result, "checks");
    for (cJSON *item; (item = cJSON_DetachItemFromArray(more, 0));)
        (void) cJSON_AddItemToArray(checks, item);
    doctor_names(checks, output_member(status, "dns"));
    cJSON_Delete(status);
    cJSON_Delete(result);
}

static int count_failed(const cJSON *checks) {
    int failed = 0;
    const cJSON *check = NULL;
    cJSON_ArrayForEach(check, checks) {
        failed += strcmp(output_member(check, "status"), "FAIL") == 0;
    }
    return failed;
}

static void print_checks(const cJSON *checks) {
    const cJSON *check = NULL;
    int coloured = output_colour(stdout);
    cJSON_ArrayForEach(check, checks) {
        const char *status = output_member(check, "status"), *remedy = output_member(check, "remedy");
        const char *colour = !coloured          ? ""
                             : status[0] == 'P' ? "\033[32m"
                             : status[0] == 'W' ? "\033[33m"
                                                : "\033[31m";
        char text[ERR_TEXT_MAX];
        (void) snprintf(text, sizeof(text), "%s", output_member(check, "text"));
        text_sanitize(text);
        (void) printf("%s%-4s%s  %-18s %s\n", colour, status, coloured ? "\033[0m" : "", output_member(check, "name"),
                      text);
        if (*remedy)
            (void) printf("      remedy: %s\n", remedy);
    }
}

int command_doctor(const struct invocation *in) {
    if (options_given(in, OPT_PRIVILEGES))
        return command_privileges(in);
    if (options_given(in, OPT_USER)) {
        struct err e = {0};
        (void) err_set(&e, EINVAL, "--user is for --privileges: add it, or leave --user out");
        output_error(&e);
        return EXIT_USAGE;
    }
    cJSON *result = cJSON_CreateObject();
    cJSON *checks = cJSON_AddArrayToObject(result, "checks");
    check_architecture(checks);
    check_helper(checks);
    check_group(checks);
    check_privileges(checks);
    check_policy(checks);
    check_programs(checks);
    check_subuid(checks);
    check_disk(checks);
    check_root_disks(checks);
    check_kvm(checks);
    check_config(checks);
    doctor_network(checks);
    check_daemon(checks);
    int failed = count_failed(checks);
    if (options_given(in, OPT_JSON)) {
        output_json(result);
    } else {
        print_checks(checks);
        cJSON_Delete(result);
    }
    return failed ? EXIT_OWN : 0;
}
