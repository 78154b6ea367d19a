#include "provision.h"

#include "../../common/cleanup.h"
#include "../catalog/catalog.h"
#include "client.h"
#include "config.h"
#include "file.h"
#include "output.h"
#include "pull.h"
#include "session.h"
#include "signals.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#define SCRIPTS_MAX 24000               /* what one request for a command has room for */
#define BUILD_ROOM  ((int64_t) 8 << 30) /* of the throw-away VM's root disk, beside the base's size */

const char build_details[] =
    "Boots a throw-away VM on BASE, installs packages with the image's own package manager, then\n"
    "docker, then runs the script as root in /root, and keeps root disk and /root as the new image:\n"
    "package caches, logs, machine-id and sshd's host keys are left out, and how BASE is run (its\n"
    "Env, Entrypoint, ...) is inherited. The guest may use the network. A script that fails ends\n"
    "the build with its exit status; whatever fails leaves nothing behind.";

/* --- the scripts ------------------------------------------------------------- */

static int append(char *text, size_t *used, const char *name, struct err *e) {
    char path[512];
    (void) snprintf(path, sizeof(path), "%s/images/guest/%s", BANGER_DATADIR, name);
    ssize_t n = file_read(path, text + *used, SCRIPTS_MAX - *used, e);
    if (n < 0)
        return (int) n;
    if (n == 0 || *used + (size_t) n >= SCRIPTS_MAX)
        return err_set(e, ENOENT, "%s is missing: install banger again", path);
    *used += (size_t) n;
    text[*used] = '\0';
    return 0;
}

/* The functions and the scripts that use them, as a shell's words in `command`. Those words, to be added to. */
static cJSON *shell_words(cJSON *command, const char *const *scripts, struct err *e) {
    cleanup_free char *text = malloc(SCRIPTS_MAX + 1);
    size_t used = 0;
    if (!text) {
        (void) err_set(e, ENOMEM, "not enough memory");
        return NULL;
    }
    int r = append(text, &used, "packages.sh", e);
    for (; r == 0 && *scripts; scripts++)
        r = append(text, &used, *scripts, e);
    if (r)
        return NULL;
    (void) cJSON_AddStringToObject(command, "cwd", "/");
    cJSON *argv = cJSON_AddArrayToObject(command, "argv");
    const char *const words[] = {"/bin/sh", "-c", text, "banger"};
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        (void) cJSON_AddItemToArray(argv, cJSON_CreateString(words[i]));
    return argv;
}

int provision_script(cJSON *command, const char *script, const char *const *words, struct err *e) {
    cJSON *argv = shell_words(command, (const char *const[]){script, NULL}, e);
    for (; argv && *words; words++)
        (void) cJSON_AddItemToArray(argv, cJSON_CreateString(*words));
    return argv ? 0 : -e->code;
}

int provision_vm(cJSON *args, int ssh, const char *folder, const char *repository, struct err *e) {
    const char *scripts[3] = {NULL};
    size_t count = 0;
    if (ssh)
        scripts[count++] = "ssh.sh";
    if (repository)
        scripts[count++] = "tools.sh";
    if (count == 0)
        return 0;
    cJSON *wanted = cJSON_AddObjectToObject(args, "prepare");
    cJSON *argv = shell_words(wanted, scripts, e);
    if (!argv)
        return -e->code;
    (void) cJSON_AddBoolToObject(wanted, "may_fail", !ssh);
    if (repository) {
        (void) cJSON_AddItemToArray(argv, cJSON_CreateString(folder));
        (void) cJSON_AddItemToArray(argv, cJSON_CreateString(repository));
    }
    return 0;
}

/* --- image build ------------------------------------------------------------- */

struct build {
    const struct invocation *in;
    const char *name, *base;
    struct needed needed;
    struct progress progress;
    struct session session;
    struct err error;
};

/* The script becomes this process's standard input: that is what goes to the guest. */
static int take_script(struct build *b) {
    const char *path = options_text(b->in, OPT_SCRIPT, NULL);
    if (!path)
        return 0;
    struct stat st;
    cleanup_fd int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (fd < 0)
        return err_sys(&b->error, errno, "cannot open the script %s", path);
    if (fstat(fd, &st) || !S_ISREG(st.st_mode))
        return err_set(&b->error, EINVAL, "the script %s is no file: give the path of one", path);
    b->session.prepare_input = 1;
    return dup2(fd, STDIN_FILENO) < 0 ? err_sys(&b->error, errno, "cannot read the script %s", path) : 0;
}

static int base_size(struct build *b, int64_t *size) {
    cJSON *image = NULL;
    int r = client_simple("image.show", client_named(b->base), &image, &b->error);
    *size = output_number(image, "size");
    cJSON_Delete(image);
    return r;
}

static int arguments(struct build *b, cJSON *args) {
    int64_t base = 0, size = options_number(b->in, OPT_SIZE, 0);
    int r = base_size(b, &base);
    cJSON *machine = cJSON_AddObjectToObject(args, "machine");
    (void) cJSON_AddStringToObject(args, "name", b->name);
    (void) cJSON_AddNumberToObject(args, "size", (double) size);
    (void) cJSON_AddStringToObject(machine, "image", b->base);
    (void) cJSON_AddStringToObject(machine, "kernel", b->needed.kernel);
    (void) cJSON_AddNumberToObject(machine, "vcpus", (double) config_number(b->in, CONFIG_VCPU));
    (void) cJSON_AddNumberToObject(machine, "memory_mib", (double) config_number(b->in, CONFIG_MEMORY));
    (void) cJSON_AddNumberToObject(machine, "disk", (double) config_number(b->in, CONFIG_DISK_SIZE));
    (void) cJSON_AddStringToObject(machine, "vmm", config_text(b->in, CONFIG_VMM));
    (void) cJSON_AddNumberToObject(machine, "root_size", (double) ((size > base ? size : base) + BUILD_ROOM));
    (void) cJSON_AddStringToObject(machine, "egress", options_given(b->in, OPT_NO_NAT) ? "none" : "nat");
    static const char *const scripts[] = {"modules.sh", "build.sh", NULL};
    cJSON *words = r < 0 ? NULL : shell_words(cJSON_AddObjectToObject(machine, "prepare"), scripts, &b->error);
    if (!words)
        return -b->error.code;
    if (options_given(b->in, OPT_DOCKER))
        (void) cJSON_AddItemToArray(words, cJSON_CreateString("--docker"));
    if (options_given(b->in, OPT_PACKAGES)) {
        (void) cJSON_AddItemToArray(words, cJSON_CreateString("--packages"));
        (void) cJSON_AddItemToArray(words, cJSON_CreateString(options_text(b->in, OPT_PACKAGES, "")));
    }
    if (options_given(b->in, OPT_SCRIPT))
        (void) cJSON_AddItemToArray(words, cJSON_CreateString("--script"));
    return 0;
}

static int request(struct build *b) {
    cJSON *args = cJSON_CreateObject(), *image = NULL;
    int r = arguments(b, args);
    if (r < 0) {
        cJSON_Delete(args);
        return r;
    }
    b->session.progress = &b->progress;
    struct client_call call = {
        .op = "image.build", .args = args, .progress = &b->progress, .event = session_event, .arg = &b->session};
    for (int i = 0; i < 2 && b->needed.files[i] >= 0; i++)
        call.fds[call.fd_count++] = b->needed.files[i];
    r = client_request(&call, &image, &b->error);
    if (r == 0) {
        char used[32];
        output_bytes(output_number(image, "used"), used);
        progress_line(&b->progress, "image %s is made of %s: %s of files", b->name, b->base, used);
    }
    cJSON_Delete(image);
    return r;
}

/* The packages' names go to the guest's package manager as words: only such as are names. */
static int check(const struct build *b, struct err *e) {
    static const char good[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.+-_:=~/,";
    const char *packages = options_text(b->in, OPT_PACKAGES, "a");
    if (!options_given(b->in, OPT_NAME) || !options_given(b->in, OPT_FROM_IMAGE))
        return err_set(e, EINVAL,
                       "something is missing: --name NAME says what the image is called, --from-image BASE "
                       "what it is made of");
    if (packages[strspn(packages, good)] || packages[0] == '-' || strstr(packages, ",-"))
        return err_set(e, EINVAL, "--packages %s: give names of packages with commas between them", packages);
    return 0;
}

int command_image_build(const struct invocation *in) {
    cleanup_free struct build *b = calloc(1, sizeof(*b));
    if (!b)
        return EXIT_OWN;
    b->in = in;
    b->name = options_text(in, OPT_NAME, "");
    b->base = options_text(in, OPT_FROM_IMAGE, "");
    if (check(b, &b->error)) {
        output_error(&b->error);
        return EXIT_USAGE;
    }
    progress_open(&b->progress, stderr, options_given(in, OPT_QUIET));
    int r = config_load(&b->error);
    if (r == 0)
        r = take_script(b);
    if (r == 0)
        r = pull_needed(b->base, options_text(in, OPT_KERNEL, NULL), &b->needed, &b->progress, &b->error);
    (void) signals_open();
    if (r == 0)
        r = request(b);
    if (r == 0)
        return 0;
    progress_finish(&b->progress, 1);
    const struct channel_end *end = &b->session.prepared;
    if (end->interrupted)
        return 128 + end->interrupted;
    if (end->status) /* the VM's own name says nothing to who builds an image */
        (void) err_set(&b->error, ECHILD, "image %s is not made: what ran in the guest ended with status %d, see above",
                       b->name, end->status);
    int status = session_failed(r, &b->error);
    return status == EXIT_OWN && end->status ? end->status : status;
}
