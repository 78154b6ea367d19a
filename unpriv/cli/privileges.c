#include "privileges.h"

#include "../../common/cleanup.h"
#include "../../policy/policy.h"
#include "../priv/priv.h"
#include "output.h"
#include "processes.h"

#include <arpa/inet.h>
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ACCOUNT_GROUPS_MAX 4096

/* --- the policy ---------------------------------------------------------------------- */

/* An account's own groups count as its session has them; another's as the name service does. */
static struct policy_who who_is(uid_t uid) {
    static gid_t gids[ACCOUNT_GROUPS_MAX + 1];
    int count = 0;
    const struct passwd *account = uid == getuid() ? NULL : getpwuid(uid);
    if (account) {
        count = ACCOUNT_GROUPS_MAX;
        if (getgrouplist(account->pw_name, account->pw_gid, gids, &count) < 0)
            count = 0;
    } else if (uid == getuid()) {
        count = getgroups(ACCOUNT_GROUPS_MAX, gids);
        count = count < 0 ? 0 : count;
        gids[count++] = getegid();
    }
    return (struct policy_who){.uid = uid, .gids = gids, .gid_count = (size_t) count};
}

/* The smallest request there is: whether the account may ask for anything. */
static enum policy_reason ask(const struct policy *policy, const struct policy_who *who) {
    const struct wire_request request = {.op = WIRE_NET_LIST};
    return policy_decide(policy, who, &request, NULL);
}

/* Which allow or deny line makes the difference: the first that alone gives the answer. -1: none. */
static int deciding_rule(const struct policy *policy, const struct policy_who *who, enum policy_reason reason) {
    static struct policy one;
    for (uint32_t i = 0; i < policy->rule_count; i++) {
        one = *policy;
        one.rules[0] = policy->rules[i];
        one.rule_count = 1;
        if (ask(&one, who) == reason)
            return (int) i;
    }
    return -1;
}

/* The text of allow or deny line `rule` (from 0), and its number in the file. */
static int find_line(int rule, char *out, int size) {
    cleanup_file FILE *f = fopen(BANGER_POLICY, "re");
    for (int number = 1; f && fgets(out, size, f); number++) {
        out[strcspn(out, "#\n")] = '\0';
        char *text = out + strspn(out, " \t");
        size_t word = strcspn(text, " \t");
        int is_rule = (word == 5 && memcmp(text, "allow", 5) == 0) || (word == 4 && memcmp(text, "deny", 4) == 0);
        if (is_rule && rule-- == 0) {
            (void) memmove(out, text, strlen(text) + 1);
            for (size_t n = strlen(out); n > 0 && (out[n - 1] == ' ' || out[n - 1] == '\t'); n--)
                out[n - 1] = '\0';
            text_sanitize(out);
            return number;
        }
    }
    return 0;
}

static void add_verdict(cJSON *out, const struct policy *policy, const struct policy_who *who) {
    char line[POLICY_LINE_MAX + 2];
    enum policy_reason reason = ask(policy, who);
    (void) cJSON_AddBoolToObject(out, "allowed", reason == POLICY_ALLOWED);
    (void) cJSON_AddStringToObject(out, "reason", priv_sentence(reason));
    if (reason == POLICY_BAD_LINE) {
        (void) cJSON_AddNumberToObject(out, "line", policy->bad_line);
        (void) cJSON_AddStringToObject(out, "problem", policy->problem);
    }
    int rule = reason == POLICY_ALLOWED || reason == POLICY_DENIED ? deciding_rule(policy, who, reason) : -1;
    int number = rule < 0 ? 0 : find_line(rule, line, sizeof(line));
    if (number > 0) {
        (void) cJSON_AddNumberToObject(out, "line", number);
        (void) cJSON_AddStringToObject(out, "text", line);
    }
}

static cJSON *cidr_text(uint32_t address, uint32_t prefix) {
    char text[INET_ADDRSTRLEN] = "", out[INET_ADDRSTRLEN + 4];
    const struct in_addr in = {htonl(address)};
    (void) inet_ntop(AF_INET, &in, text, sizeof(text));
    (void) snprintf(out, sizeof(out), "%s/%u", text, prefix);
    return cJSON_CreateString(out);
}

static void add_vmms(cJSON *out, const struct policy *policy) {
    cJSON *vmms = cJSON_AddArrayToObject(out, "vmms");
    for (uint32_t i = 0; i < policy->vmm_count; i++) {
        cJSON *vmm = cJSON_CreateObject();
        (void) cJSON_AddStringToObject(vmm, "name", policy->vmms[i].name);
        (void) cJSON_AddStringToObject(vmm, "binary", policy->vmms[i].binary);
        cJSON *folders = cJSON_AddArrayToObject(vmm, "folders");
        for (uint32_t f = 0; f < policy->vmms[i].folder_count; f++)
            (void) cJSON_AddItemToArray(folders, cJSON_CreateString(policy->vmms[i].folders[f]));
        (void) cJSON_AddItemToArray(vmms, vmm);
    }
}

/* A ceiling that no line sets is null. */
static void add_ceiling(cJSON *out, const char *name, uint32_t value) {
    (void) cJSON_AddItemToObject(out, name, value == UINT32_MAX ? cJSON_CreateNull() : cJSON_CreateNumber(value));
}

cJSON *privileges_policy(uid_t uid) {
    static struct policy_file file;
    struct policy_who who = who_is(uid);
    policy_refresh(&file, BANGER_POLICY);
    const struct policy *policy = &file.policy;
    cJSON *out = cJSON_CreateObject();
    (void) cJSON_AddStringToObject(out, "file", BANGER_POLICY);
    add_verdict(out, policy, &who);
    if (policy->fault != POLICY_ALLOWED)
        return out;
    uint32_t subnet = policy_subnet(policy, uid);
    (void) cJSON_AddItemToObject(out, "subnet", subnet ? cidr_text(subnet, SUBNET_PREFIX) : cJSON_CreateNull());
    (void) cJSON_AddNumberToObject(out, "slots", policy->slots);
    (void) cJSON_AddBoolToObject(out, "nat", policy->nat);
    cJSON *uplinks = cJSON_AddArrayToObject(out, "uplinks"), *ranges = cJSON_AddArrayToObject(out, "private");
    for (uint32_t i = 0; i < policy->uplink_count; i++)
        (void) cJSON_AddItemToArray(uplinks, cJSON_CreateString(policy->uplinks[i]));
    for (uint32_t i = 0; i < policy->private_count; i++)
        (void) cJSON_AddItemToArray(ranges,
                                    cidr_text(policy->private_allow[i].address, policy->private_allow[i].prefix));
    add_vmms(out, policy);
    add_ceiling(out, "memory_max", policy->memory_max);
    add_ceiling(out, "vcpus_max", policy->vcpus_max);
    add_ceiling(out, "disk_max", policy->disk_max);
    return out;
}

/* --- printing ---------------------------------------------------------------------------- */

/* The texts of an array, or of each object's member `key`. */
static void print_words(const cJSON *array, const char *none) {
    const cJSON *item = NULL;
    if (cJSON_GetArraySize(array) == 0)
        (void) printf(" %s", none);
    cJSON_ArrayForEach(item, array) {
        (void) printf(" %s", cJSON_GetStringValue(item));
    }
}

static void print_list(const char *title, const cJSON *array, const char *none) {
    (void) printf("%-13s", title);
    print_words(array, none);
    (void) printf("\n");
}

static void print_ceiling(const cJSON *policy, const char *key, const char *title, const char *unit) {
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(policy, key);
    if (cJSON_IsNumber(item))
        (void) printf("%-13s %.0f%s\n", title, item->valuedouble, unit);
    else
        (void) printf("%-13s no ceiling\n", title);
}

static void print_limits(const cJSON *policy) {
    const char *subnet = output_member(policy, "subnet");
    (void) printf("%-13s %s\n%-13s %lld\n", "subnet", *subnet ? subnet : "none", "slots",
                  (long long) output_number(policy, "slots"));
    (void) printf("%-13s %s\n", "nat", cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(policy, "nat")) ? "yes" : "no");
    print_list("uplinks", cJSON_GetObjectItemCaseSensitive(policy, "uplinks"), "none");
    print_list("private", cJSON_GetObjectItemCaseSensitive(policy, "private"), "none");
    const cJSON *vmm = NULL;
    cJSON_ArrayForEach(vmm, cJSON_GetObjectItemCaseSensitive(policy, "vmms")) {
        (void) printf("%-13s %s: %s, sees", "vmm", output_member(vmm, "name"), output_member(vmm, "binary"));
        print_words(cJSON_GetObjectItemCaseSensitive(vmm, "folders"), "no folder");
        (void) printf("\n");
    }
    print_ceiling(policy, "memory_max", "memory", " MiB a VM");
    print_ceiling(policy, "vcpus_max", "processors", " a VM");
    print_ceiling(policy, "disk_max", "disk", " MiB a disk");
}

static void print_policy(const cJSON *policy) {
    int allowed = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(policy, "allowed"));
    long long line = (long long) output_number(policy, "line");
    (void) printf("%-13s %s\n%-13s %s", "policy", output_member(policy, "file"), "allowed", allowed ? "yes" : "no: ");
    if (!allowed)
        (void) printf("%s", output_member(policy, "reason"));
    if (line > 0)
        (void) printf(" (line %lld: %s%s)", line, output_member(policy, "text"), output_member(policy, "problem"));
    (void) printf("\n");
    if (cJSON_HasObjectItem(policy, "slots"))
        print_limits(policy);
}

static void print_files(const cJSON *files) {
    const cJSON *file = NULL;
    cJSON_ArrayForEach(file, files) {
        (void) printf("  %-13s %lld %s %s\n", file == files->child ? "files" : "",
                      (long long) output_number(file, "fd"), output_member(file, "access"),
                      output_member(file, "what"));
    }
}

static void print_array(const char *title, const cJSON *array, const char *none) {
    if (!cJSON_IsArray(array))
        return;
    (void) printf("  ");
    print_list(title, array, none);
}

static void print_seccomp(const cJSON *process) {
    long long filters = (long long) output_number(process, "filters");
    (void) printf("  %-13s %lld\n  %-13s %s", "no_new_privs", (long long) output_number(process, "no_new_privs"),
                  "seccomp", output_number(process, "seccomp") == 2 ? "filter" : "none");
    if (filters > 0)
        (void) printf(", %lld of them", filters);
    (void) printf("\n");
}

/* Nearly all of them (what the bounding set has) is a number; JSON has the names. */
static void print_capabilities(const cJSON *set) {
    const char *text = cJSON_GetStringValue(set);
    int count = 1;
    for (const char *comma = text; (comma = strchr(comma, ',')); comma++)
        count++;
    if (count > 8)
        (void) printf("  %-13s %d of them\n", set->string, count);
    else
        (void) printf("  %-13s %s\n", set->string, text);
}

/* 1 when the kernel hid something. */
static int print_process(const cJSON *process) {
    const cJSON *files = cJSON_GetObjectItemCaseSensitive(process, "files");
    const cJSON *calls = cJSON_GetObjectItemCaseSensitive(process, "calls"), *set = NULL;
    char name[64];
    (void) snprintf(name, sizeof(name), "%s", output_member(process, "name"));
    text_sanitize(name);
    (void) printf("\nprocess %lld  %s: %s%s%s, uid %lld\n", (long long) output_number(process, "pid"), name,
                  output_member(process, "role"), *output_member(process, "worker") ? " " : "",
                  output_member(process, "worker"), (long long) output_number(process, "uid"));
    cJSON_ArrayForEach(set, cJSON_GetObjectItemCaseSensitive(process, "capabilities")) {
        print_capabilities(set);
    }
    print_seccomp(process);
    print_array("namespaces", cJSON_GetObjectItemCaseSensitive(process, "namespaces"), "the host's");
    print_files(files);
    print_array("root", cJSON_GetObjectItemCaseSensitive(process, "root"), "empty");
    if (cJSON_IsArray(calls))
        (void) printf("  %-13s %d:", "calls", cJSON_GetArraySize(calls));
    if (cJSON_IsArray(calls)) {
        print_words(calls, "none");
        (void) printf("\n");
    }
    if (cJSON_HasObjectItem(process, "calls_unknown"))
        (void) printf("  %-13s %s\n", "calls", output_member(process, "calls_unknown"));
    return cJSON_IsNull(files) || (cJSON_IsNull(calls) && output_number(process, "seccomp") == 2);
}

static void print_processes(const cJSON *processes) {
    const cJSON *process = NULL;
    int hidden = 0;
    cJSON_ArrayForEach(process, processes) {
        hidden |= print_process(process);
    }
    if (cJSON_GetArraySize(processes) == 0)
        (void) printf("\nNo process of banger runs.\n");
    else if (hidden && geteuid() != 0)
        (void) printf(
            "\nThe helper is undumpable, and filters are root's to read: descriptors, namespaces, roots and system\n"
            "calls that are missing here are shown by `sudo banger doctor --privileges --user NAME`.\n");
}

/* --- the command ----------------------------------------------------------------------- */

static int find_account(const char *name, uid_t *uid, struct err *e) {
    const struct passwd *account = getpwnam(name);
    if (!account)
        return err_set(e, ENOENT, "there is no account %s", name);
    *uid = account->pw_uid;
    if (geteuid() != 0 && *uid != getuid())
        return err_set(e, EPERM, "only root may look at another account's processes: leave --user out, or use sudo");
    return 0;
}

int command_privileges(const struct invocation *in) {
    struct err e = {0};
    uid_t uid = getuid();
    const char *name = options_text(in, OPT_USER, NULL);
    if (name && find_account(name, &uid, &e)) {
        output_error(&e);
        return EXIT_OWN;
    }
    cJSON *result = cJSON_CreateObject();
    cJSON *policy = privileges_policy(uid);
    cJSON *processes = processes_read(uid == 0 ? PROCESSES_OF_ALL : uid);
    (void) cJSON_AddNumberToObject(result, "uid", uid);
    (void) cJSON_AddItemToObject(result, "policy", policy);
    (void) cJSON_AddItemToObject(result, "processes", processes);
    if (options_given(in, OPT_JSON)) {
        output_json(result);
        return 0;
    }
    const struct passwd *account = getpwuid(uid);
    (void) printf("%-13s %s (uid %u)\n", "account", account ? account->pw_name : "?", uid);
    print_policy(policy);
    print_processes(processes);
    cJSON_Delete(result);
    return 0;
}
