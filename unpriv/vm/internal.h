/* What the files of vm/ share. */
#ifndef BANGER_VM_INTERNAL_H
#define BANGER_VM_INTERNAL_H

#include "../agent/link.h"
#include "../daemon/rpc.h"
#include "../egress/names.h"
#include "../image/importer.h"
#include "../store/copy.h"
#include "vm.h"

#include <netinet/in.h>
#include <pthread.h>

/* --- live.c: the VMs that something is happening to --------------------------- */

/* One VM in memory: its lock, and while it runs its process and its link. */
struct vm_live {
    struct vm_live *next;
    char id[17];
    uint32_t slot;
    const struct vmm_driver *vmm;
    unsigned holders;
    pthread_mutex_t lock;       /* held while the VM's state changes */
    pthread_mutex_t connecting; /* one reconnection at a time */
    int pidfd;                  /* -1 while it does not run */
    _Atomic unsigned users;     /* commands and copies under way */
    _Atomic int64_t touched;    /* seconds since 1970 when it was last used; 0: look in the store */
    _Atomic int full;           /* 1 while its VMM holds it because the host's disk is full */
    struct link *link;          /* NULL until the guest is ready, or when it has to be connected again */
    struct gate *gate;          /* what it may reach; NULL while it does not run */
    struct names *names;        /* its lookups; as the gate */
};

/* The entry for a record, made when there is none; counted. */
struct vm_live *vm_live_hold(const struct vm_record *r);
void vm_live_drop(struct vm_live *live);
/* The same for one that is not starting just now: NULL with `e` filled. */
struct vm_live *vm_live_up(const struct vm_record *r, struct err *e);

/* Finds the VM by name or id, takes its lock, reads its record. Gives up with
 * -ECANCELED when the client goes away meanwhile. Pair with vm_unlock. */
int vm_lock(const struct rpc *rpc, const char *name, struct vm_live **live, struct vm_record *r, struct err *e);
/* The same without waiting: -EBUSY while another request has the lock. */
int vm_trylock(const char *name, struct vm_live **live, struct vm_record *r, struct err *e);
/* The VM that the request's "name" says: its record; or with its lock, as vm_lock. */
int vm_asked(const struct rpc *rpc, struct vm_record *r, struct err *e);
int vm_asked_lock(const struct rpc *rpc, struct vm_live **live, struct vm_record *r, struct err *e);
/* The same for a record that is not in the store yet. */
struct vm_live *vm_lock_new(const struct vm_record *r);
void vm_unlock(struct vm_live *live);

/* The lock is held: the VM's process is there (takes `pidfd`) and is watched from
 * now on: when it ends by itself, the network is taken down and the record says so. */
int vm_live_began(struct vm_live *live, int pidfd, struct err *e);
/* The lock is held: the process has ended; forgets it and its link. */
void vm_live_ended(struct vm_live *live);
/* Takes `link`. */
void vm_live_linked(struct vm_live *live, struct link *link);

/* The lock is held: takes `gate` and `names`, which end with the process. */
void vm_live_gated(struct vm_live *live, struct gate *gate, struct names *names);
/* Its gate, counted; NULL while it does not run. Needs no lock. */
struct gate *vm_live_gate(struct vm_live *live);
/* The same of its lookups. */
struct names *vm_live_names(struct vm_live *live);

/* 1 while it has a process. */
int vm_live_runs(struct vm_live *live);
/* A duplicate of its pidfd, the caller's; -1 when it does not run. Needs no lock. */
int vm_live_pidfd(struct vm_live *live);
/* Its link, counted, where one stands; else NULL. Needs no lock. */
struct link *vm_live_link_if(struct vm_live *live);
/* Its link, counted, connected again where that is needed. Needs no lock. NULL with `e` filled. */
struct link *vm_live_link(struct vm_live *live, const char *name, struct err *e);

/* 1 when the process behind `pidfd` has ended. */
int vm_pid_ended(int pidfd);
/* Kills it and waits for its end: 0 or a negative errno. */
int vm_pid_kill(int pidfd);

/* --- watch.c ------------------------------------------------------------------------- */

/* Starts the watcher of a VM that runs; it drops `live` at its end. 0 or a negative errno. */
int vm_watch(struct vm_live *live);

/* --- folder.c: a VM's folder --------------------------------------------------- */

/* Makes an empty folder for the slot, removing what an earlier owner left. */
int vm_folder_make(uint32_t slot, struct err *e);
/* Makes its jail folder, /vm to the VMM, anew: what the last one left there is gone. */
int vm_folder_jail(uint32_t slot, struct err *e);
/* The folder, O_PATH, the caller's; or a negative errno. */
int vm_folder_open(uint32_t slot);
/* The slot is in use though no VM has it: an empty folder, until it is unmarked or a VM's is made. */
int vm_folder_mark(uint32_t slot, struct err *e);
/* 0, or -ENOTEMPTY for a VM's, or another negative errno. */
int vm_folder_unmark(uint32_t slot);
/* 1 when it is nothing but such a mark. */
int vm_folder_is_mark(uint32_t slot);
/* Removes it with all it holds: gone from its name at once, from the disk soon
 * after; one that is not there is no error. */
int vm_folder_remove(uint32_t slot, struct err *e);
/* Removes what an earlier daemon was still removing; this one must not have begun to: no folder bears two removals. */
int vm_folders_sweep(void);
/* Calls `each` for every folder there is. */
int vm_folders(void (*each)(uint32_t slot, void *arg), void *arg);
/* Opens a file of banger's own (images/<id>/rootfs.ext4), no symbolic link followed. */
int vm_open(int dir, const char *path, int flags);
/* The status file, locked: the descriptor (the caller's), -EWOULDBLOCK while the
 * VM's jail holds it, or another negative errno. */
int vm_status_lock(uint32_t slot);
/* Bytes of the disk that go with its files: those shared with an image do not count. */
int64_t vm_folder_size(uint32_t slot);
/* The last line with something in it of `name` in the VM's folder; "" without. */
void vm_last_line(uint32_t slot, const char *name, char *line, size_t size);

/* --- taps.c ------------------------------------------------------------------------- */

/* The slot's tap, which is in the kernel with its bridge and rules (without egress) from then on: as
 * priv_net_up. One that waited for it is used. */
int vm_taps_up(uint64_t op, uint32_t slot, uint32_t kind, uint32_t *subnet, struct err *e);
/* As priv_net_down; the tap itself is taken apart soon after. */
int vm_taps_down(uint64_t op, uint32_t slot, struct err *e);
/* 1: the lowest slot below `below` in which a tap waits; it is the caller's, until vm_taps_down. 0: there is none. */
int vm_taps_take(uint32_t *slot, uint32_t below);
/* The slots whose tap the kernel is just taking apart, bits as priv_net_list gives them. */
void vm_taps_closing(uint64_t slots[(SLOT_MAX + 63) / 64]);
/* For vm_slot_claim: the slot is the pool's; whether it has, or will have, a tap of this engine's. */
void vm_taps_claim(uint32_t slot);
int vm_taps_has(uint32_t slot);
/* Start-up: as many as the account last asked for. */
int vm_taps_begin(struct err *e);
/* There is another net worker: what the last one refused, or did not live to do, is asked for again. */
void vm_taps_again(void);

/* --- idle.c ------------------------------------------------------------------------ */

/* Something is done with the VM, and is over. */
void vm_idle_begin(struct vm_live *live);
void vm_idle_end(struct vm_live *live);
/* When it was last used, seconds since 1970. */
int64_t vm_idle_touched(struct vm_live *live, const struct vm_record *r);
/* Seconds after which a VM that nobody uses is stopped; 0: never. */
int64_t vm_idle_after(void);
/* Starts the thread that stops them. */
int vm_idle_watch(struct err *e);

/* --- set.c ---------------------------------------------------------------------- */

/* Makes the work disk's file as large as the record says where it is smaller; its file system
 * grows in the guest, at boot. 0 or a negative errno. */
int vm_disk_grow(const struct vm_record *r, struct err *e);

/* --- gates.c: what VMs may reach -------------------------------------------------- */

/* The rules of a record. 0 or a negative errno. */
int vm_rules_read(const struct vm_record *r, struct egress_rules *rules, struct err *e);
/* The lock is held: gives a VM that is about to run, or was found running, its gate. It began then. */
int vm_gate_make(struct vm_live *live, const struct vm_record *r, int64_t since, struct err *e);
/* The lock is held: from now on the VM may reach what the rules say, also while it runs. All of it or nothing. */
int vm_egress_change(uint64_t op, struct vm_live *live, struct vm_record *r, const struct egress_rules *rules,
                     struct err *e);
/* The lock is held: undoes a change that was cut off. 1 when there was one, 0, or a negative errno. */
int vm_egress_mend(uint64_t op, struct vm_live *live, struct vm_record *r, struct err *e);

/* --- egress.c ----------------------------------------------------------------------- */

/* For priv_on_net_worker: tells that worker what the running guests may reach, and
 * watches over it, in a thread of its own. */
void vm_egress_worker(int sock);
/* Starts the thread that has names looked up whose addresses are to stay open (egress/names.h). */
int vm_egress_renew(struct err *e);

/* --- dns.c ---------------------------------------------------------------------------- */

/* The VM runs, or does not any longer: its name is answered, or not. Never waits. */
void vm_dns_changed(const struct vm_record *r);

/* --- known_hosts.c ------------------------------------------------------------------- */

/* Forgets the host keys that ssh has accepted for the VM of this name. Safe twice. */
int vm_known_hosts_drop(const char *name, struct err *e);

/* --- running.c ---------------------------------------------------------------------- */

/* Calls `each` for every VM that runs, with its lock held; it waits for those that something is
 * happening to, last. */
void vm_running_each(void (*each)(struct vm_live *live, const struct vm_record *r, void *arg), void *arg);

/* --- publish.c ---------------------------------------------------------------------- */

/* The request's "unpublish" and "publish", both lists of texts (forward/spec.h), into the record. */
int vm_publish_parse(const cJSON *args, struct vm_record *r, struct err *e);
/* The record's published ports as docs/protocol.md has them. */
cJSON *vm_publish_json(const struct vm_record *r);
/* 0, or why they cannot be had now; nothing changes. */
int vm_publish_look(const struct vm_record *r, struct err *e);
/* Takes them: who connects waits. Safe twice. */
int vm_publish_hold(const struct vm_record *r, struct err *e);
/* The guest is ready: who connects is let in. Safe twice, and without vm_publish_hold. */
int vm_publish_open(const struct vm_record *r, struct err *e);
/* The VM has ended: they are free. Safe twice. */
void vm_publish_end(const struct vm_record *r);
/* At start-up: those of the VMs that run are carried again, and from now on also when a
 * banger-forward ends. */
void vm_publish_recover(void);
/* Changes what the VM publishes as the request's "unpublish" and "publish" say, at once where it
 * runs; the lock is held. All of it or nothing. */
int vm_publish_change(struct rpc *rpc, struct vm_live *live, struct vm_record *r, struct err *e);

/* --- recover.c: every record, in an array of the caller's (free) ---------------- */

struct vm_records {
    struct vm_record *list;
    size_t count;
    int failed; /* no memory for all */
};
int vm_records_read(struct vm_records *all, struct err *e);
/* Ends the VMM that holds the slot's status file, if one does: nothing but its control socket is known of it. */
void vm_end_unknown(uint32_t slot);

/* --- disks.c ---------------------------------------------------------------------- */

#define VM_ROOT_FILE "root.ext4" /* of a reflink or a copy */
#define VM_OVERLAY   "root.cow"  /* of a snapshot */

enum vm_root_kind { ROOT_AUTO, ROOT_REFLINK, ROOT_SNAPSHOT, ROOT_COPY, ROOT_KINDS };
extern const char *const vm_root_names[ROOT_KINDS];

/* A root disk that was just made: its copy may be under way in a thread of its own, or
 * its snapshot be up already. */
struct vm_root {
    const struct rpc *rpc;
    int from, to; /* of the copy; -1 once it is over */
    int unshared;
    int device; /* the snapshot's block device, -1 without; vm_start takes it */
    int keep;   /* the copy is to outlive a loss of power: it is written to the disk once it is complete */
    int writes; /* that is under way, in a thread of its own */
    pthread_t writer;
    pthread_t thread;
    _Atomic int stop;
    int result;
    struct err e;
};
#define VM_NO_ROOT ((struct vm_root){.from = -1, .to = -1, .device = -1})

struct vm_spec;
/* Makes both disks of the record in its folder; sets root_kind. With a root_size the image's files are written
 * anew into a file of that size. On success the work disk is complete and the root disk has its size; what it
 * holds may still be on its way. */
int vm_disks_begin(const struct rpc *rpc, const struct vm_spec *spec, struct vm_record *r, struct vm_root *root,
                   struct err *e);
/* The VM's disks as a new image: the root disk's files with the work disk's as /root, in `to`
 * (empty), of `size` bytes (0: to fit them). The VM is stopped and its root disk a file. */
int vm_disks_keep(const struct rpc *rpc, const struct vm_record *r, int64_t size, int to, struct import_result *got,
                  struct err *e);
/* Waits until the root disk is complete: 0 or a negative errno. Safe twice. */
int vm_disks_wait(struct vm_root *root, struct err *e);
/* Stops the copy and waits for its end; lets go of the snapshot. Safe twice. */
void vm_disks_abandon(struct vm_root *root);
/* Writes both disks and their folder to the host's disk: from then on they outlive a loss of power. */
int vm_disks_sync(const struct vm_record *r, struct err *e);
/* The image's file, O_RDONLY: the descriptor (the caller's), or a negative errno. */
int vm_image_open(const struct vm_record *r, struct err *e);

/* --- snapshot.c ------------------------------------------------------------------- */

/* Makes the VM's overlay for `base` in its folder: so large that it is never full
 * (wire_snap_overlay), zeroed and reserved. Its descriptor (the caller's), or a negative
 * errno and nothing is left. */
int vm_overlay_make(int dir, int base, struct err *e);
/* Brings the snapshot up, once what the last run left of it in the kernel is gone: its
 * block device's descriptor (the caller's), or a negative errno. */
int vm_snapshot_up(uint64_t op, uint32_t slot, int base, int overlay, struct err *e);
/* The same with the record's own files. */
int vm_snapshot_open(uint64_t op, const struct vm_record *r, struct err *e);
/* 1 when the record's root disk is one. */
int vm_is_snapshot(const struct vm_record *r);

/* --- sessions.c ---------------------------------------------------------------------- */

/* How many sessions run in the VM, as its guest says; -1 when it does not answer. */
int vm_sessions_running(struct vm_live *live);

/* --- names.c, resolv.c, json.c ---------------------------------------------------- */

/* 1 when it is a DNS label (RFC 1123, 2.1) in small letters. */
int vm_label(const char *name);
/* 0, or -EINVAL with a sentence, for a name that is none, or that looks like an id. */
int vm_name_check(const char *name, struct err *e);
/* A readable random name: "brisk-otter", from the second `attempt` on with a number. */
void vm_name_random(char name[STORE_NAME_MAX], unsigned attempt);

/* The first IPv4 name server of a resolv.conf that is not on the loopback, host
 * byte order; 0 without one. */
uint32_t vm_resolv_parse(const char *text);
uint32_t vm_resolv_read(void);

/* An id: 16 random hex digits. */
void vm_id_random(char id[17]);

/* As vm_json, for one record after another (`last` begins with zeros), with the `wanted` members alone. */
struct vm_sources {
    struct image_record image;
    struct kernel_record kernel;
};
#define VM_JSON_ALL UINT32_MAX
cJSON *vm_json_next(const struct vm_record *r, struct vm_sources *last, uint32_t wanted);
/* The members of those names, a list; all of them without one. -EINVAL with a sentence: a VM has no such member. */
int vm_json_members(const cJSON *names, uint32_t *wanted, struct err *e);

/* The IPv6 address of who has this IPv4 address (host byte order), where he has IPv6. */
void vm_ipv6_text(uint32_t ipv4, char out[INET6_ADDRSTRLEN]);
/* Adds a time, RFC 3339, UTC; null for 0, one that has not come. */
void vm_json_time(cJSON *object, const char *key, int64_t seconds);

/* --- the operations' steps --------------------------------------------------------- */

/* What vm.create is asked for. */
struct vm_spec {
    struct vm_record record; /* without id, slot, ids of image and kernel */
    struct image_record image;
    struct kernel_record kernel;
    int named; /* 0: find a free random name */
    int start;
    int keep; /* the VM outlives its request */
    enum vm_root_kind root;
    int64_t root_size; /* 0: the image's */
    int64_t root_room; /* that the root disk has beyond the image's size; its file system grows at boot */
    struct egress_rules rules;
    int tar;      /* laid over the work disk's content; -1 without */
    int given[2]; /* a registered image's file, opened twice by the client; -1: the image is banger's own */
};
int vm_spec_parse(struct rpc *rpc, struct vm_spec *spec, struct err *e);
/* A text of the arguments; one that they leave out stays as it is. */
int vm_text_parse(const cJSON *args, const char *key, char *out, size_t size, struct err *e);
/* Processors, memory and disk; what the arguments leave out stays as the record has it, where it has it. */
int vm_sizes_parse(const cJSON *args, struct vm_record *r, struct err *e);

/* A slot that nobody has, for the pool of taps (vm_taps_claim). 0 or a negative errno. */
int vm_slot_claim(uint32_t *slot, struct err *e);
/* Makes the VM: record, folder, disks (the root disk may still be copied). On success its lock is held. */
int vm_create(struct rpc *rpc, struct vm_spec *spec, struct vm_live **live, struct vm_record *r, struct vm_root *root,
              struct err *e);
/* Undoes vm_create; the lock is held. Kills the VM when it runs. */
int vm_destroy(uint64_t op, struct vm_live *live, struct vm_record *r, struct err *e);
/* create, and start and prepare when asked; on success the lock is held. Where the guest never
 * became ready the VM is kept, in state failed. Until this has succeeded, and with
 * `remove` for as long as it lives, the record says that the VM goes with its request. */
int vm_create_and_start(struct rpc *rpc, int remove, struct vm_live **live, struct vm_record *r, struct err *e);

/* Boots it, until its agent answers; the guest mounts its disks when it is greeted,
 * and that waits for `root`, which gives up its device. On failure nothing runs any longer and the
 * record's state is VM_FAILED when the guest had been started, else VM_STOPPED. The lock is held. */
int vm_start(struct rpc *rpc, struct vm_live *live, struct vm_record *r, struct vm_root *root, struct err *e);
/* The process is gone: network down, record stopped. The lock is held. Safe twice. */
int vm_settle(uint64_t op, struct vm_live *live, struct vm_record *r, enum vm_state state, struct err *e);

/* A command as the agent takes it (struct mux_open and its strings). */
struct vm_command {
    uint8_t *open; /* malloc'ed */
    uint32_t size;
};
/* `config`: how the image is run (run_config.h), or NULL. `workspace`: where the command runs when the request says
 * nothing, "" without. */
int vm_command_parse(const cJSON *args, const cJSON *config, const char *workspace, struct vm_command *command,
                     struct err *e);
/* A service of the agent's own, argv[0] its name. */
int vm_command_service(const char *const argv[], struct vm_command *command, struct err *e);
/* Runs it in the VM, hands the client its channel, waits for the end. Needs no lock. */
int vm_exec(struct rpc *rpc, struct vm_live *live, const struct vm_record *r, const struct vm_command *command,
            cJSON **result, struct err *e);

/* The request's command as the image wants it run; where there is a workspace, whose files
 * are root's, the image's user does not count. `enter`: it is where the command runs by default. */
int vm_command_asked(const struct rpc *rpc, const char *image, const char *workspace, int enter,
                     struct vm_command *command, struct err *e);
/* vm_exec in a VM that is up already. Takes the command. */
int vm_exec_in(struct rpc *rpc, const struct vm_record *r, struct vm_command *command, cJSON **result, struct err *e);

/* Runs the request's `prepare` command in the VM, if there is one; one that fails is an error unless it may. */
int vm_prepare(struct rpc *rpc, struct vm_live *live, const struct vm_record *r, struct err *e);

/* The request's grace_ms. 0 or -EINVAL. */
int vm_grace(const struct rpc *rpc, int *grace_ms, struct err *e);
/* Has a running VM end, by force after that time. The lock is held. */
int vm_stop(uint64_t op, struct vm_live *live, struct vm_record *r, int grace_ms, struct err *e);
/* Asks the guest to power off and waits for it: 0, or -ETIMEDOUT while it runs on. The lock is held. */
int vm_power_off(struct vm_live *live, const struct vm_record *r, int grace_ms, struct err *e);

/* --- handlers (ops.c has the table) -------------------------------------------------- */
rpc_handler vm_op_create, vm_op_start, vm_op_stop, vm_op_kill, vm_op_delete, vm_op_list, vm_op_show, vm_op_exec,
    vm_op_run, vm_op_logs, vm_op_build, vm_op_restart, vm_op_set, vm_op_egress, vm_op_stats, vm_op_publish,
    vm_op_publishable, vm_op_ports, vm_op_copy, vm_op_session_start, vm_op_session_list, vm_op_session_show,
    vm_op_session_stop, vm_op_session_kill, vm_op_session_logs, vm_op_session_send, vm_op_session_attach;

#endif
