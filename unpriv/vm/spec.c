/* The arguments of vm.create and vm.run, and of them those that vm.set shares. */
#include "internal.h"

#include "../../common/json.h"
#include "../image/images.h"
#include "../vmm/vmm.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysinfo.h>
#include <time.h>

#define MEMORY_LEAST 128
#define DISK_LEAST   (64ll << 20)
#define DISK_MOST    (16ll << 40)
#define BLOCK        4096
#define VCPUS_MOST   255

/* A string member, in one piece or not at all; control bytes have no business in any of them. */
int vm_text_parse(const cJSON *args, const char *key, char *out, size_t size, struct err *e) {
    const char *text = json_string_or(args, key, out, e);
    if (!text || text == out)
        return text ? 0 : -EINVAL;
    if (strlen(text) >= size)
        return err_set(e, ENAMETOOLONG, "\"%s\" is longer than %zu bytes", key, size - 1);
    (void) snprintf(out, size, "%s", text);
    text_sanitize(out);
    return strcmp(out, text) == 0 ? 0 : err_set(e, EINVAL, "\"%s\" contains control characters", key);
}

/* What a record that has none yet must be given. */
static int size_member(const cJSON *args, const char *key, int64_t least, int64_t most, int64_t *size, struct err *e) {
    return *size ? json_integer_or(args, key, least, most, size, e) : json_integer(args, key, least, most, size, e);
}

int vm_sizes_parse(const cJSON *args, struct vm_record *r, struct err *e) {
    int64_t vcpus = r->vcpus;
    int64_t memory = r->memory_mib;
    struct sysinfo host;
    int rc = size_member(args, "vcpus", 1, VCPUS_MOST, &vcpus, e);
    if (rc == 0)
        rc = size_member(args, "memory_mib", MEMORY_LEAST, UINT32_MAX, &memory, e);
    if (rc == 0)
        rc = size_member(args, "disk", DISK_LEAST, DISK_MOST, &r->disk, e);
    if (rc == 0)
        rc = json_boolean_or(args, "ipv6", &r->ipv6, e);
    if (rc)
        return rc;
    r->vcpus = (uint32_t) vcpus;
    r->memory_mib = (uint32_t) memory;
    r->disk = (r->disk + BLOCK - 1) / BLOCK * BLOCK;
    if (sysinfo(&host))
        return err_sys(e, errno, "cannot look at the host's memory");
    uint64_t total = ((uint64_t) host.totalram * host.mem_unit) >> 20;
    if (r->memory_mib > total)
        return err_set(e, EINVAL, "%u MiB of memory are asked for, the host has %llu MiB: choose a smaller `--memory`",
                       r->memory_mib, (unsigned long long) total);
    return 0;
}

static int parse_room(const cJSON *args, struct vm_spec *spec, struct err *e) {
    int rc = json_integer_or(args, "root_room", 0, DISK_MOST, &spec->root_room, e);
    if (rc == 0 && spec->root_size && spec->root_room)
        return err_set(e, EINVAL, "\"root_size\" says how large the root disk is: leave \"root_room\" out");
    spec->root_room = (spec->root_room + BLOCK - 1) / BLOCK * BLOCK;
    return rc;
}

static int parse_egress(const cJSON *args, struct vm_spec *spec, struct err *e) {
    const char *egress = json_string_or(args, "egress", "none", e);
    int rc = egress ? egress_rules_parse(egress, &spec->rules, e) : -EINVAL;
    spec->record.egress = (uint32_t) spec->rules.mode;
    return rc;
}

static int parse_root_kind(const cJSON *args, struct vm_spec *spec, struct err *e) {
    const char *wanted = json_string_or(args, "root_disk", vm_root_names[ROOT_AUTO], e);
    if (!wanted)
        return -EINVAL;
    for (spec->root = ROOT_AUTO; spec->root < ROOT_KINDS; spec->root++) {
        if (strcmp(vm_root_names[spec->root], wanted) == 0)
            return 0;
    }
    return err_set(e, EINVAL, "\"root_disk\" must be auto, reflink, snapshot or copy");
}

static int choose_vmm(const struct rpc *rpc, struct vm_record *r, struct err *e) {
    const char *wanted = json_string_or(rpc->args, "vmm", "auto", e);
    const struct vmm_driver *driver = wanted ? vmm_choose(wanted, rpc->op, e) : NULL;
    if (!driver)
        return -EINVAL;
    (void) snprintf(r->vmm, sizeof(r->vmm), "%s", driver->name);
    return 0;
}

static int parse_sources(const cJSON *args, struct vm_spec *spec, struct err *e) {
    const char *image = json_string(args, "image", e);
    const char *kernel = image ? json_string(args, "kernel", e) : NULL;
    if (!image || !kernel)
        return -EINVAL;
    int rc = image_lookup(image, &spec->image, e);
    if (rc == 0)
        rc = store_kernel_get(kernel, &spec->kernel, e);
    if (rc)
        return rc;
    memcpy(spec->record.image, spec->image.id, sizeof(spec->record.image));
    memcpy(spec->record.kernel, spec->kernel.id, sizeof(spec->record.kernel));
    return 0;
}

/* The image's file twice when it is not banger's own, then the tar stream, or none. */
static int take_descriptors(const struct rpc *rpc, struct vm_spec *spec, struct err *e) {
    const size_t images = image_is_own(&spec->image) ? 0 : 2;
    struct stat st;
    spec->given[0] = spec->given[1] = -1;
    if (rpc->fd_count < images)
        return err_set(e, EINVAL, "image %s is a file of the user's: two descriptors of it must come with this request",
                       spec->image.name);
    if (rpc->fd_count > images + 1)
        return err_set(e, EINVAL, "at most one descriptor, a tar stream, may come with this request");
    for (size_t i = 0; i < images; i++) {
        spec->given[i] = rpc->fds[i];
        if (fstat(rpc->fds[i], &st) || !S_ISREG(st.st_mode))
            return err_set(e, EINVAL, "%s is no longer a file: register the image again", spec->image.source);
    }
    spec->tar = rpc->fd_count > images ? rpc->fds[images] : -1;
    return 0;
}

int vm_spec_parse(struct rpc *rpc, struct vm_spec *spec, struct err *e) {
    memset(spec, 0, sizeof(*spec));
    struct vm_record *r = &spec->record;
    spec->start = !cJSON_IsFalse(cJSON_GetObjectItemCaseSensitive(rpc->args, "start"));
    int rc = vm_text_parse(rpc->args, "name", r->name, sizeof(r->name), e);
    spec->named = r->name[0] != 0;
    if (rc == 0 && spec->named)
        rc = vm_name_check(r->name, e);
    if (rc == 0)
        rc = parse_sources(rpc->args, spec, e);
    if (rc == 0)
        rc = take_descriptors(rpc, spec, e);
    if (rc == 0)
        rc = vm_sizes_parse(rpc->args, r, e);
    if (rc == 0)
        rc = json_integer_or(rpc->args, "root_size", DISK_LEAST, DISK_MOST, &spec->root_size, e);
    if (rc == 0)
        rc = parse_room(rpc->args, spec, e);
    if (rc == 0)
        rc = parse_egress(rpc->args, spec, e);
    if (rc == 0)
        rc = parse_root_kind(rpc->args, spec, e);
    if (rc == 0)
        rc = choose_vmm(rpc, r, e);
    if (rc == 0)
        rc = vm_publish_parse(rpc->args, r, e);
    if (rc == 0)
        rc = vm_text_parse(rpc->args, "workspace", r->workspace, sizeof(r->workspace), e);
    if (rc == 0)
        rc = vm_text_parse(rpc->args, "source", r->source, sizeof(r->source), e);
    if (rc == 0)
        rc = vm_text_parse(rpc->args, "head", r->head, sizeof(r->head), e);
    if (rc == 0 && !spec->start && cJSON_IsObject(cJSON_GetObjectItemCaseSensitive(rpc->args, "prepare")))
        rc = err_set(e, EINVAL, "a VM that is not started cannot be prepared: leave \"start\" out");
    r->created = time(NULL);
    return rc;
}
