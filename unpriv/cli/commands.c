/* The table of commands, and their options. */
#include "commands.h"

#include "../catalog/catalog.h"
#include "audit.h"
#include "bundle.h"
#include "config.h"
#include "doctor.h"
#include "egress.h"
#include "events.h"
#include "load.h"
#include "local.h"
#include "logs.h"
#include "metrics.h"
#include "options.h"
#include "ports.h"
#include "provision.h"
#include "publish.h"
#include "registry.h"
#include "run.h"
#include "session.h"
#include "sessions.h"
#include "ssh.h"
#include "stats.h"
#include "stores.h"
#include "vm.h"

#include <stdio.h>

/* --- resolved defaults ------------------------------------------------------- */

static void resolve_vcpus(char *out, size_t size) {
    config_show(CONFIG_VCPU, out, size);
}
static void resolve_memory(char *out, size_t size) {
    config_show(CONFIG_MEMORY, out, size);
}
static void resolve_disk(char *out, size_t size) {
    config_show(CONFIG_DISK_SIZE, out, size);
}
static void resolve_root_disk(char *out, size_t size) {
    config_show(CONFIG_ROOT_DISK, out, size);
}
static void resolve_overlay(char *out, size_t size) {
    config_show(CONFIG_OVERLAY_SIZE, out, size);
}
static void resolve_vmm(char *out, size_t size) {
    config_show(CONFIG_VMM, out, size);
}
static void resolve_image(char *out, size_t size) {
    config_show(CONFIG_IMAGE, out, size);
}
static void resolve_interval(char *out, size_t size) {
    config_show(CONFIG_STATS_INTERVAL, out, size);
}
static void resolve_kernel(char *out, size_t size) {
    (void) snprintf(out, size, "the image's own, else %s", CATALOG_DEFAULT_KERNEL);
}
static void resolve_name(char *out, size_t size) {
    (void) snprintf(out, size, "a random one");
}

/* --- options ----------------------------------------------------------------- */

#define HELP_OPTION                                                                                                    \
    { OPT_HELP, "help", 'h', OPTION_FLAG, NULL, "show this", NULL }
#define JSON_OPTION                                                                                                    \
    { OPT_JSON, "json", 0, OPTION_FLAG, NULL, "print JSON (fields: docs/protocol.md)", NULL }
#define QUIET_OPTION                                                                                                   \
    { OPT_QUIET, "quiet", 'q', OPTION_FLAG, NULL, "no progress, no notices", NULL }
#define END_OPTION                                                                                                     \
    { OPT_HELP, NULL, 0, OPTION_FLAG, NULL, NULL, NULL }
#define MACHINE_OPTIONS                                                                                                \
    {OPT_NAME, "name", 'n', OPTION_NAME, "NAME", "the VM's name", resolve_name},                                       \
        {OPT_IMAGE, "image", 0, OPTION_TEXT, "IMAGE", "what it runs; pulled when missing", resolve_image},             \
        {OPT_KERNEL, "kernel", 0, OPTION_TEXT, "KERNEL", "its kernel; pulled when missing", resolve_kernel},           \
        {OPT_VCPU, "vcpu", 0, OPTION_COUNT, "N", "virtual processors", resolve_vcpus},                                 \
        {OPT_MEMORY, "memory", 'm', OPTION_MEMORY, "SIZE", "memory: 2G, 2GiB, or plain MiB", resolve_memory},          \
        {OPT_DISK_SIZE, "disk-size", 0, OPTION_DISK, "SIZE", "disk at /root: 8G, 8GiB", resolve_disk},                 \
        {OPT_ROOT_DISK,    "root-disk", 0, OPTION_CHOICE, ROOT_DISK_WORDS, "how its root comes from the image",        \
         resolve_root_disk},                                                                                           \
        {OPT_OVERLAY_SIZE, "system-overlay-size", 0, OPTION_ROOM, "SIZE", "room in / beyond the image's",              \
         resolve_overlay},                                                                                             \
        {OPT_VMM, "vmm", 0, OPTION_CHOICE, VMM_WORDS, "what runs it", resolve_vmm},                                    \
        {OPT_EGRESS,                                                                                                   \
         "egress",                                                                                                     \
         0,                                                                                                            \
         OPTION_EGRESS,                                                                                                \
         "none|nat|allow=CIDR|NAME,...",                                                                               \
         "what it may reach: docs/egress.md (default none)",                                                           \
         NULL},                                                                                                        \
        {OPT_NAT, "nat", 0, OPTION_FLAG, NULL, "the same as --egress nat: the Internet", NULL},                        \
        {OPT_NO_NAT, "no-nat", 0, OPTION_FLAG, NULL, "the same as --egress none: this account's VMs alone", NULL}, {   \
        OPT_IPV6, "ipv6", 0, OPTION_FLAG, NULL, "an IPv6 address too: docs/egress.md says how far it reaches", NULL    \
    }
#define PUBLISH_OPTION                                                                                                 \
    {                                                                                                                  \
        OPT_PUBLISH, "publish", 'p', OPTION_PORT, "[IP:]HOST:GUEST[/udp]",                                             \
            "its port GUEST at this host's HOST, on localhost unless IP is given; repeatable", NULL                    \
    }
#define SSH_OPTION                                                                                                     \
    {                                                                                                                  \
        OPT_WITH_SSH, "with-ssh", 0, OPTION_FLAG, NULL,                                                                \
            "give it an sshd first, of its own packages where it has none", NULL                                       \
    }
#define COMMAND_OPTIONS                                                                                                \
    {OPT_CWD, "cwd", 'w', OPTION_TEXT, "PATH", "folder in the guest (default workspace, image's, home)", NULL},        \
        {OPT_ENV, "env", 'e', OPTION_LIST, "NAME=VALUE", "a variable for the command; repeatable", NULL},              \
        {OPT_USER,    "user", 'u',                                                                                     \
         OPTION_TEXT, "USER", "account in the guest, or USER:GROUP (default the image's, else root)",                  \
         NULL},                                                                                                        \
    {                                                                                                                  \
        OPT_TTY, "tty", 't', OPTION_FLAG, NULL, "a terminal for the command (shells get one by themselves)", NULL      \
    }

static const struct option run_options[] = {
    MACHINE_OPTIONS,
    PUBLISH_OPTION,
    SSH_OPTION,
    {OPT_RM, "rm", 0, OPTION_FLAG, NULL, "delete the VM when the command or shell ends", NULL},
    {OPT_DETACH, "detach", 'd', OPTION_FLAG, NULL, "leave it running in the background", NULL},
    {OPT_BRANCH, "branch", 0, OPTION_TEXT, "B", "check out a new branch B in the guest", NULL},
    {OPT_FROM, "from", 0, OPTION_TEXT, "REF", "start the branch there; another commit's files are taken from it", NULL},
    {OPT_INCLUDE_UNTRACKED, "include-untracked", 0, OPTION_FLAG, NULL, "take untracked files too, never ignored ones",
     NULL},
    {OPT_DRY_RUN, "dry-run", 0, OPTION_FLAG, NULL, "list the workspace's files and make nothing", NULL},
    {OPT_NO_BOOTSTRAP, "no-bootstrap", 0, OPTION_FLAG, NULL, "do not install the workspace's tools with mise", NULL},
    COMMAND_OPTIONS,
    {OPT_INTERACTIVE, "interactive", 'i', OPTION_FLAG, NULL, "accepted; input is always forwarded", NULL},
    {OPT_JSON, "json", 0, OPTION_FLAG, NULL, "with --detach: print the VM as JSON", NULL},
    QUIET_OPTION,
    HELP_OPTION,
    END_OPTION,
};
static const struct option create_options[] = {
    MACHINE_OPTIONS, PUBLISH_OPTION,
    SSH_OPTION,      {OPT_NO_START, "no-start", 0, OPTION_FLAG, NULL, "make it, do not start it", NULL},
    JSON_OPTION,     QUIET_OPTION,
    HELP_OPTION,     END_OPTION,
};
static const struct option publish_options[] = {
    {OPT_REMOVE, "remove", 0, OPTION_FLAG, NULL, "publish these no longer", NULL},
    JSON_OPTION,
    HELP_OPTION,
    END_OPTION,
};
static const struct option exec_options[] = {
    COMMAND_OPTIONS,
    {OPT_AUTO_PREPARE, "auto-prepare", 0, OPTION_FLAG, NULL,
     "bring the repository into the workspace first where it has changed", NULL},
    {OPT_INTERACTIVE, "interactive", 'i', OPTION_FLAG, NULL,
     "forward input typed at a terminal (other input always is)", NULL},
    HELP_OPTION,
    END_OPTION,
};
static const struct option plain_options[] = {HELP_OPTION, END_OPTION};
static const struct option show_options[] = {JSON_OPTION, HELP_OPTION, END_OPTION};
static const struct option doctor_options[] = {
    {OPT_PRIVILEGES, "privileges", 0, OPTION_FLAG, NULL,
     "what the policy allows and what each process may do at this moment; root sees all of it", NULL},
    {OPT_USER, "user", 0, OPTION_TEXT, "NAME", "with --privileges, as root: one account's", NULL},
    JSON_OPTION,
    HELP_OPTION,
    END_OPTION,
};
static const struct option quiet_options[] = {QUIET_OPTION, HELP_OPTION, END_OPTION};
static const struct option session_start_options[] = {
    {OPT_NAME, "name", 'n', OPTION_NAME, "NAME", "the session's name", resolve_name},
    {OPT_STDIN_MODE, "stdin-mode", 0, OPTION_CHOICE, "pipe|detached",
     "its input: what is sent to it, or none (default detached)", NULL},
    {OPT_REQUIRE_COMMAND, "require-command", 0, OPTION_WORDS, "COMMAND", "what must be in the guest too; repeatable",
     NULL},
    {OPT_CWD, "cwd", 'w', OPTION_TEXT, "PATH", "folder in the guest (default as for vm exec)", NULL},
    {OPT_ENV, "env", 'e', OPTION_LIST, "NAME=VALUE", "a variable for the command; repeatable", NULL},
    {OPT_USER, "user", 'u', OPTION_TEXT, "USER", "account in the guest, or USER:GROUP", NULL},
    JSON_OPTION,
    QUIET_OPTION,
    HELP_OPTION,
    END_OPTION,
};
static const struct option session_logs_options[] = {
    {OPT_STREAM, "stream", 0, OPTION_CHOICE, "stdout|stderr", "which of the two (default stdout)", NULL},
    {OPT_FOLLOW, "follow", 'f', OPTION_FLAG, NULL, "go on with what comes, until the session ends", NULL},
    HELP_OPTION,
    END_OPTION,
};
static const struct option session_send_options[] = {
    {OPT_CLOSE, "close", 0, OPTION_FLAG, NULL, "it gets no more input after this", NULL},
    HELP_OPTION,
    END_OPTION,
};
static const struct option session_stop_options[] = {
    {OPT_GRACE, "grace", 0, OPTION_COUNT, "SECONDS", "time to end before it is killed (default 10)", NULL},
    JSON_OPTION,
    HELP_OPTION,
    END_OPTION,
};
static const struct option session_kill_options[] = {
    {OPT_SIGNAL, "signal", 's', OPTION_SIGNAL, "SIGNAL", "signal for its process group (default KILL)", NULL},
    JSON_OPTION,
    HELP_OPTION,
    END_OPTION,
};
static const struct option acp_options[] = {
    {OPT_CWD, "cwd", 'w', OPTION_TEXT, "PATH", "folder in the guest (default as for vm exec)", NULL},
    HELP_OPTION,
    END_OPTION,
};
static const struct option stop_options[] = {
    {OPT_GRACE, "grace", 0, OPTION_COUNT, "SECONDS", "time to shut down before it is forced (default 20)", NULL},
    QUIET_OPTION,
    HELP_OPTION,
    END_OPTION,
};
static const struct option set_options[] = {
    {OPT_VCPU, "vcpu", 0, OPTION_COUNT, "N", "virtual processors, of a stopped VM", NULL},
    {OPT_MEMORY, "memory", 'm', OPTION_MEMORY, "SIZE", "memory, of a stopped VM: 2G, 2GiB, or plain MiB", NULL},
    {OPT_DISK_SIZE, "disk-size", 0, OPTION_DISK, "SIZE", "disk at /root, of a stopped VM; it only grows", NULL},
    {OPT_EGRESS, "egress", 0, OPTION_EGRESS, "none|nat|allow=CIDR|NAME,...", "what it may reach, at once", NULL},
    {OPT_NAT, "nat", 0, OPTION_FLAG, NULL, "the same as --egress nat", NULL},
    {OPT_NO_NAT, "no-nat", 0, OPTION_FLAG, NULL, "the same as --egress none", NULL},
    {OPT_IPV6, "ipv6", 0, OPTION_FLAG, NULL, "an IPv6 address too, for a stopped VM", NULL},
    {OPT_NO_IPV6, "no-ipv6", 0, OPTION_FLAG, NULL, "none any more", NULL},
    JSON_OPTION,
    HELP_OPTION,
    END_OPTION,
};
static const struct option kill_options[] = {
    {OPT_SIGNAL, "signal", 's', OPTION_SIGNAL, "SIGNAL", "signal for the VM's process (default KILL)", NULL},
    HELP_OPTION,
    END_OPTION,
};
static const struct option delete_options[] = {
    {OPT_FORCE, "force", 'f', OPTION_FLAG, NULL, "do not ask (asked only on a terminal)", NULL},
    HELP_OPTION,
    END_OPTION,
};
static const struct option prune_options[] = {
    {OPT_FORCE, "force", 'f', OPTION_FLAG, NULL, "do not ask", NULL},
    HELP_OPTION,
    END_OPTION,
};
static const struct option vm_list_options[] = {
    {OPT_FILTER, "filter", 0, OPTION_LIST, "KEY=PATTERN",
     "only those whose member fits, as in state=running or name=web-*; repeatable", NULL},
    JSON_OPTION,
    HELP_OPTION,
    END_OPTION,
};
static const struct option logs_options[] = {
    {OPT_WHICH, "which", 0, OPTION_CHOICE, "console|vmm", "of the guest, or of its VMM (default both)", NULL},
    {OPT_FOLLOW, "follow", 'f', OPTION_FLAG, NULL, "go on with what comes, until the VM ends", NULL},
    HELP_OPTION,
    END_OPTION,
};
static const struct option list_options[] = {
    {OPT_AVAILABLE, "available", 'a', OPTION_FLAG, NULL, "what can be pulled too", NULL},
    JSON_OPTION,
    HELP_OPTION,
    END_OPTION,
};
static const struct option image_pull_options[] = {
    {OPT_SIZE, "size", 0, OPTION_DISK, "SIZE", "size of its disk (default: content x 1.5, at least 1G)", NULL},
    {OPT_NAME, "name", 'n', OPTION_TEXT, "NAME", "of a registry's image: its name here (default: as REF is written)",
     NULL},
    {OPT_KERNEL_REF, "kernel-ref", 0, OPTION_TEXT, "KERNEL", "of a registry's image: what its VMs run with", NULL},
    {OPT_PLATFORM, "platform", 0, OPTION_TEXT, "OS/ARCH", "as in linux/amd64 (default: this machine's)", NULL},
    {OPT_INSECURE, "insecure", 0, OPTION_FLAG, NULL, "plain http, or https that nobody vouches for, will do", NULL},
    {OPT_USERNAME, "username", 0, OPTION_TEXT, "USER", "log in as USER (default: what `docker login` left)", NULL},
    {OPT_PASSWORD_STDIN, "password-stdin", 0, OPTION_FLAG, NULL, "read the password from standard input", NULL},
    {OPT_JSON, "json", 0, OPTION_FLAG, NULL, "progress and the image as JSON lines on standard output", NULL},
    QUIET_OPTION,
    HELP_OPTION,
    END_OPTION,
};
static const struct option image_load_options[] = {
    {OPT_NAME, "name", 'n', OPTION_TEXT, "NAME", "its name here (default: the file's)", NULL},
    {OPT_TAG, "tag", 0, OPTION_TEXT, "TAG", "which of several images: a tag, or a name with one", NULL},
    {OPT_PLATFORM, "platform", 0, OPTION_TEXT, "OS/ARCH", "as in linux/amd64 (default: this machine's)", NULL},
    {OPT_SIZE, "size", 0, OPTION_DISK, "SIZE", "size of its disk (default: content x 1.5, at least 1G)", NULL},
    QUIET_OPTION,
    JSON_OPTION,
    HELP_OPTION,
    END_OPTION,
};
static const struct option cache_options[] = {
    {OPT_DRY_RUN, "dry-run", 0, OPTION_FLAG, NULL, "only say what would be freed", NULL},
    JSON_OPTION,
    HELP_OPTION,
    END_OPTION,
};
static const struct option image_build_options[] = {
    {OPT_NAME, "name", 'n', OPTION_TEXT, "NAME", "what the new image is called", NULL},
    {OPT_FROM_IMAGE, "from-image", 0, OPTION_TEXT, "BASE", "what it is made of; pulled when missing", NULL},
    {OPT_PACKAGES, "packages", 0, OPTION_TEXT, "A,B", "install these packages", NULL},
    {OPT_DOCKER, "docker", 0, OPTION_FLAG, NULL, "install docker, started at boot", NULL},
    {OPT_SCRIPT, "script", 0, OPTION_TEXT, "FILE", "run this in the guest, as root", NULL},
    {OPT_SIZE, "size", 0, OPTION_DISK, "SIZE", "size of its disk (default: content x 1.5, at least 1G)", NULL},
    {OPT_KERNEL, "kernel", 0, OPTION_TEXT, "KERNEL", "the throw-away VM's kernel", resolve_kernel},
    {OPT_VCPU, "vcpu", 0, OPTION_COUNT, "N", "its virtual processors", resolve_vcpus},
    {OPT_MEMORY, "memory", 'm', OPTION_MEMORY, "SIZE", "its memory", resolve_memory},
    {OPT_NO_NAT, "no-nat", 0, OPTION_FLAG, NULL, "it does without the network", NULL},
    QUIET_OPTION,
    HELP_OPTION,
    END_OPTION,
};
static const struct option register_options[] = {
    {OPT_NAME, "name", 'n', OPTION_TEXT, "NAME", "the image's name", NULL},
    {OPT_ROOTFS, "rootfs", 0, OPTION_TEXT, "FILE", "its root: an ext4 file system, which stays where it is", NULL},
    {OPT_KERNEL, "kernel", 0, OPTION_TEXT, "WHAT", "make a kernel of that name, as `kernel import --from` does", NULL},
    {OPT_MODULES, "modules", 0, OPTION_TEXT, "DIR", "that kernel's modules, as in /lib/modules/RELEASE", NULL},
    {OPT_INITRD, "initrd", 0, OPTION_TEXT, "FILE", "refused: banger makes its own, with its agent in it", NULL},
    {OPT_KERNEL_REF, "kernel-ref", 0, OPTION_TEXT, "KERNEL", "a kernel that is here or in the catalog", NULL},
    QUIET_OPTION,
    HELP_OPTION,
    END_OPTION,
};
static const struct option bundle_options[] = {
    {OPT_NAME, "name", 'n', OPTION_TEXT, "NAME", "the image", NULL},
    {OPT_OUT, "out", 'o', OPTION_TEXT, "FILE", "the bundle to make", NULL},
    JSON_OPTION,
    QUIET_OPTION,
    HELP_OPTION,
    END_OPTION,
};
static const struct option kernel_pull_options[] = {
    {OPT_FORCE, "force", 'f', OPTION_FLAG, NULL, "replace the one that is here", NULL},
    QUIET_OPTION,
    HELP_OPTION,
    END_OPTION,
};
static const struct option kernel_import_options[] = {
    {OPT_SOURCE, "from", 0, OPTION_TEXT, "WHAT", "a kernel or package file, a folder, or a package's name", NULL},
    {OPT_MODULES, "modules", 0, OPTION_TEXT, "DIR", "of a kernel's file: its modules, as in /lib/modules/RELEASE",
     NULL},
    {OPT_FORCE, "force", 'f', OPTION_FLAG, NULL, "replace a kernel of that name", NULL},
    QUIET_OPTION,
    HELP_OPTION,
    END_OPTION,
};

static const struct option ssh_config_options[] = {
    {OPT_INSTALL, "install", 0, OPTION_FLAG, NULL, "have `ssh NAME.vm` work: include it in ~/.ssh/config", NULL},
    {OPT_UNINSTALL, "uninstall", 0, OPTION_FLAG, NULL, "take that back", NULL},
    HELP_OPTION,
    END_OPTION,
};

static const struct option stats_options[] = {
    {OPT_WATCH, "watch", 0, OPTION_FLAG, NULL, "look again and again", NULL},
    {OPT_INTERVAL, "interval", 0, OPTION_COUNT, "SECONDS", "with --watch: between two looks", resolve_interval},
    {OPT_JSON, "json", 0, OPTION_FLAG, NULL, "one JSON object a line and VM (fields: docs/protocol.md)", NULL},
    HELP_OPTION,
    END_OPTION,
};
static const struct option events_options[] = {
    {OPT_SINCE, "since", 0, OPTION_NUMBER, "N", "those after event N; 0: all that are kept (default: the last 100)",
     NULL},
    {OPT_FOLLOW, "follow", 'f', OPTION_FLAG, NULL, "go on with what comes, until interrupted", NULL},
    {OPT_JSON, "json", 0, OPTION_FLAG, NULL, "one JSON object a line (fields: docs/protocol.md)", NULL},
    HELP_OPTION,
    END_OPTION,
};
static const struct option audit_show_options[] = {
    {OPT_USER, "user", 'u', OPTION_TEXT, "NAME|UID", "of this account only", NULL},
    {OPT_LINES, "lines", 'n', OPTION_COUNT, "N", "the last N records of each (default 20)", NULL},
    JSON_OPTION,
    HELP_OPTION,
    END_OPTION,
};
static const struct option audit_verify_options[] = {
    {OPT_USER, "user", 'u', OPTION_TEXT, "NAME|UID", "of this account only", NULL},
    {OPT_ALL, "all", 'a', OPTION_FLAG, NULL, "all accounts (default)", NULL},
    {OPT_HEAD, "head", 0, OPTION_TEXT, "HASH", "a head kept elsewhere, of the one account", NULL},
    {OPT_SYSLOG, "syslog", 0, OPTION_TEXT, "FILE", "syslog's lines instead of /var/log/auth.log; - is stdin", NULL},
    JSON_OPTION,
    HELP_OPTION,
    END_OPTION,
};
static const struct option audit_rotate_options[] = {
    {OPT_USER, "user", 'u', OPTION_TEXT, "NAME|UID", "of this account only", NULL},
    HELP_OPTION,
    END_OPTION,
};

/* --- commands ---------------------------------------------------------------- */

static const char run_details[] =
    "Without a command: what the image itself runs (its Entrypoint, then its Cmd), or a shell where\n"
    "it says nothing or a PATH is given; leaving it keeps the VM unless --rm. A COMMAND is run as it\n"
    "is given, in place of both: put the Entrypoint first to have it. The image's Env, WorkingDir\n"
    "and User hold unless --env, --cwd or --user say otherwise. With PATH the tracked files of the\n"
    "git repository around it are at /root/repo, and the command runs there, as root. The exit status\n"
    "is the command's, 128+n when signal n ended it, 125 when banger itself failed.";
static const char pull_details[] =
    "REF is [HOST[:PORT]/]PATH[:TAG][@sha256:HEX], with at least one of '/', ':' and '@'. Mirrors and\n"
    "registries without https are set in banger.toml(5). Of a REF that is here the registry is asked\n"
    "again: where its tag has moved, the new image takes the name.";
static const char load_details[] =
    "An OCI layout (a folder, or the tar archive of one: skopeo, buildah, podman) or an archive\n"
    "of `docker save`. Every digest is checked.";
static const char publish_details[] =
    "Without IP: on 127.0.0.1 and ::1, for every program of this host and nobody else. At once\n"
    "where the VM runs, and at each start from then on; a stopped VM holds no port.";

static const char cp_details[] =
    "One of FROM and TO is NAME:PATH, a running VM's; a PATH without / in front begins at root's\n"
    "home. FROM goes into TO where that is a folder, else under that name; of a folder FROM/. only\n"
    "what is in it. Modes, times and symbolic links are kept, owners and set-id bits are not.";

static const char register_details[] =
    "The file stays yours and where it is; VMs are made of what it holds then. Its kernel is a\n"
    "distribution's own or yours, with an initramfs of banger's. `image promote` copies the file.";

static const char stats_details[] =
    "Without a NAME: of all that run. CPU, MEMORY and LOAD are what the guest says; the rest is what\n"
    "the host counts. CPU is the time used so far, and with --watch the share of one processor since\n"
    "the line before.";

const struct command commands[] = {
    {"vm", "run", NULL, "[PATH] [OPTIONS] [-- COMMAND...]", "Make and start a VM, run a command or a shell in it",
     run_options, 0, 1, 1, command_run, run_details},
    {"vm", "create", NULL, "[OPTIONS]", "Make and start a VM", create_options, 0, 0, 0, command_create, NULL},
    {"vm", "list", "ls", "[OPTIONS]", "List VMs", vm_list_options, 0, 0, 0, command_list, NULL},
    {NULL, "ps", NULL, "[OPTIONS]", "List VMs", vm_list_options, 0, 0, 0, command_list, NULL},
    {"vm", "show", NULL, "NAME [OPTIONS]", "Show a VM", show_options, 1, 1, 0, command_show, NULL},
    {"vm", "start", NULL, "NAME...", "Start VMs", quiet_options, 1, -1, 0, command_start, NULL},
    {"vm", "stop", NULL, "NAME... [OPTIONS]", "Shut VMs down", stop_options, 1, -1, 0, command_stop, NULL},
    {"vm", "restart", NULL, "NAME... [OPTIONS]", "Shut VMs down and start them again", stop_options, 1, -1, 0,
     command_restart, NULL},
    {"vm", "kill", NULL, "NAME... [OPTIONS]", "End VMs at once", kill_options, 1, -1, 0, command_kill, NULL},
    {"vm", "delete", "rm", "NAME... [OPTIONS]", "Delete VMs and their disks", delete_options, 1, -1, 0, command_delete,
     NULL},
    {"vm", "prune", NULL, "[OPTIONS]", "Delete every VM that is not running", prune_options, 0, 0, 0, command_prune,
     NULL},
    {"vm", "set", NULL, "NAME [OPTIONS]", "Change a VM's size or its way out", set_options, 1, 1, 0, command_set, NULL},
    {"vm", "exec", NULL, "NAME [OPTIONS] [-- COMMAND...]", "Run a command or a shell in a running VM", exec_options, 1,
     1, 1, command_exec, exec_details},
    {"vm", "cp", NULL, "FROM TO [OPTIONS]", "Copy files and folders into a VM or out of it", quiet_options, 2, 2, 0,
     command_cp, cp_details},
    {"vm", "ssh", NULL, "NAME [-- COMMAND...]", "The same through the guest's ssh server", plain_options, 1, 1, 1,
     command_ssh, NULL},
    {"vm", "egress", NULL, "NAME [OPTIONS]", "Show what a VM may reach and what it has asked for", show_options, 1, 1,
     0, command_egress, NULL},
    {"vm", "ports", NULL, "NAME... [OPTIONS]", "Show what VMs listen on", show_options, 1, -1, 0, command_ports, NULL},
    {"vm", "publish", NULL, "NAME [IP:]HOST:GUEST[/udp]... [OPTIONS]", "Make a VM's ports reachable from this host",
     publish_options, 2, 1 + PUBLISH_MAX, 0, command_publish, publish_details},
    {"vm", "logs", NULL, "NAME [OPTIONS]", "Show a VM's console and its VMM's log", logs_options, 1, 1, 0, command_logs,
     logs_details},
    {"vm", "stats", NULL, "[NAME...] [OPTIONS]", "Show what VMs use, by their own word and by the host's",
     stats_options, 0, -1, 0, command_stats, stats_details},
    {"vm", "acp", NULL, "NAME [OPTIONS]", "Bridge standard input and output to `opencode acp` in a VM", acp_options, 1,
     1, 0, command_acp, acp_details},
    {"vm session", "start", NULL, "NAME [OPTIONS] -- COMMAND...", "Start a command that goes on without this one",
     session_start_options, 1, 1, 2, command_session_start, session_start_details},
    {"vm session", "list", "ls", "NAME [OPTIONS]", "List a VM's sessions", show_options, 1, 1, 0, command_session_list,
     NULL},
    {"vm session", "show", NULL, "NAME SESSION [OPTIONS]", "Show a session", show_options, 2, 2, 0,
     command_session_show, NULL},
    {"vm session", "logs", NULL, "NAME SESSION [OPTIONS]", "Show what a session has written", session_logs_options, 2,
     2, 0, command_session_logs, session_logs_details},
    {"vm session", "send", NULL, "NAME SESSION [TEXT] [OPTIONS]", "Send a session input", session_send_options, 2, 3, 0,
     command_session_send, session_send_details},
    {"vm session", "attach", NULL, "NAME SESSION", "Show what a session writes and send it input", plain_options, 2, 2,
     0, command_session_attach, session_attach_details},
    {"vm session", "stop", NULL, "NAME SESSION [OPTIONS]", "End a session", session_stop_options, 2, 2, 0,
     command_session_stop, session_stop_details},
    {"vm session", "kill", NULL, "NAME SESSION [OPTIONS]", "Send a session a signal", session_kill_options, 2, 2, 0,
     command_session_kill, NULL},
    {"image", "list", "ls", "[OPTIONS]", "List images", list_options, 0, 0, 0, command_image_list, NULL},
    {"image", "show", NULL, "NAME [OPTIONS]", "Show an image", show_options, 1, 1, 0, command_image_show, NULL},
    {"image", "pull", NULL, "NAME|REF [OPTIONS]", "Get an image from the catalog or a registry", image_pull_options, 1,
     1, 0, command_image_pull, pull_details},
    {"image", "cache", NULL, "prune [OPTIONS]", "Remove what registries sent from the blob cache", cache_options, 1, 1,
     0, command_image_cache, NULL},
    {"image", "load", NULL, "FILE|FOLDER [OPTIONS]", "Get an image that another tool saved", image_load_options, 1, 1,
     0, command_image_load, load_details},
    {"image", "build", NULL, "--name NAME --from-image BASE [OPTIONS]", "Make an image of another, in a VM",
     image_build_options, 0, 0, 0, command_image_build, build_details},
    {"image", "register", NULL, "--name NAME --rootfs FILE --kernel WHAT [--modules DIR]|--kernel-ref KERNEL",
     "Make a root file system of yours an image", register_options, 0, 0, 0, command_image_register, register_details},
    {"image", "promote", NULL, "NAME", "Copy a registered image into banger's store", quiet_options, 1, 1, 0,
     command_image_promote, NULL},
    {"image", "bundle", NULL, "--name NAME --out FILE", "Pack an image into one file, to sign and to share",
     bundle_options, 0, 0, 0, command_image_bundle, NULL},
    {"image", "delete", "rm", "NAME...", "Delete images", plain_options, 1, -1, 0, command_image_delete, NULL},
    {"kernel", "list", "ls", "[OPTIONS]", "List kernels", list_options, 0, 0, 0, command_kernel_list, NULL},
    {"kernel", "show", NULL, "NAME [OPTIONS]", "Show a kernel", show_options, 1, 1, 0, command_kernel_show, NULL},
    {"kernel", "pull", NULL, "NAME [OPTIONS]", "Get a kernel from the catalog", kernel_pull_options, 1, 1, 0,
     command_kernel_pull, NULL},
    {"kernel", "import", NULL, "NAME --from FILE|DIR|PACKAGE", "Make a guest kernel of a distribution's",
     kernel_import_options, 1, 1, 0, command_kernel_import, NULL},
    {"kernel", "rm", "delete", "NAME...", "Delete kernels", plain_options, 1, -1, 0, command_kernel_delete, NULL},
    {"daemon", "status", NULL, "[OPTIONS]", "Show the daemon (and start it)", show_options, 0, 0, 0,
     command_daemon_status, NULL},
    {"daemon", "stop", NULL, "", "Stop the daemon; VMs go on running", plain_options, 0, 0, 0, command_daemon_stop,
     NULL},
    {"daemon", "socket", NULL, "", "Print the path of the daemon's socket", plain_options, 0, 0, 0,
     command_daemon_socket, NULL},
    {NULL, "metrics", NULL, "", "Print figures for Prometheus (docs/metrics.md)", plain_options, 0, 0, 0,
     command_metrics, NULL},
    {NULL, "events", NULL, "[OPTIONS]", "Show what has happened, by number", events_options, 0, 0, 0, command_events,
     events_details},
    {"audit", "show", NULL, "[OPTIONS]", "As root: show what the helper recorded", audit_show_options, 0, 0, 0,
     command_audit_show, NULL},
    {"audit", "verify", NULL, "[OPTIONS]", "As root: check that no record was changed", audit_verify_options, 0, 0, 0,
     command_audit_verify, audit_verify_details},
    {"audit", "rotate", NULL, "[OPTIONS]", "As root: begin new audit files", audit_rotate_options, 0, 0, 0,
     command_audit_rotate, audit_rotate_details},
    {NULL, "ssh-config", NULL, "[OPTIONS]", "Show or install what `ssh NAME.vm` needs", ssh_config_options, 0, 0, 0,
     command_ssh_config, NULL},
    {NULL, "ssh-proxy", NULL, "HOST [PORT]", "For ssh's ProxyCommand: connect to a VM", plain_options, 1, 2, 0,
     command_ssh_proxy, NULL},
    {NULL, "doctor", NULL, "[OPTIONS]", "Check what banger needs", doctor_options, 0, 0, 0, command_doctor, NULL},
    {NULL, "version", NULL, "", "Print the version", plain_options, 0, 0, 0, command_version, NULL},
    {NULL, "help", NULL, "[COMMAND...]", "Show help", plain_options, 0, 3, 0, command_help, NULL},
    {NULL, NULL, NULL, NULL, NULL, NULL, 0, 0, 0, NULL, NULL},
};
