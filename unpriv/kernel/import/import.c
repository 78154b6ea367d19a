#include "../../image/import/import.h"
#include "../../../common/io.h"
#include "kernel.h"

#include <errno.h>
#include <string.h>

/* Descriptors of plan.h for this mode. */
enum { FD_PACKAGE = 4, FD_AGENT = 5, FD_VMLINUX = 6, FD_INITRD = 7 };

#define AGENT_MAX (64u << 20)

static int agent_read(struct kernel_blob *agent, struct err *e) {
    int code = kernel_blob_read(agent, FD_AGENT, AGENT_MAX);
    if (code < 0)
        return err_sys(e, -code, "cannot read banger-agent");
    if (agent->size < 4 || memcmp(agent->data, "\177ELF", 4) != 0)
        return err_set(e, EINVAL, "the file given as banger-agent is no program; install banger again");
    return 0;
}

static int outputs_write(struct kernel_package *package, const struct kernel_blob *agent, struct import_report *report,
                         struct err *e) {
    int order[KERNEL_MODULES_MAX];
    uint64_t initrd = 0;
    int code = kernel_vmlinux_take(&package->image, report->release, sizeof report->release, e);
    int count = code < 0 ? code : kernel_modules_order(package, order, e);
    if (count < 0)
        return count;
    code = kernel_modules_fit(package, order, count, report->release, e);
    if (code < 0)
        return code;
    code = io_write(FD_VMLINUX, package->image.data, package->image.size);
    if (code < 0)
        return err_sys(e, -code, "cannot write the vmlinux");
    code = kernel_initramfs_write(FD_INITRD, agent, package, order, count, &initrd, e);
    report->size = package->image.size;
    report->used = package->image.size + initrd;
    return code;
}

int kernel_import(const struct import_plan *plan, struct import_report *report, struct err *e) {
    struct kernel_package package = {0};
    struct kernel_blob agent = {0};
    struct kernel_count count = {0};
    uint64_t limit = plan->limit && plan->limit < KERNEL_INPUT_MAX ? plan->limit : KERNEL_INPUT_MAX;
    int code = agent_read(&agent, e);
    if (code == 0)
        code = kernel_package_read(FD_PACKAGE, limit, &package, &count, e);
    if (code == 0)
        code = outputs_write(&package, &agent, report, e);
    report->bytes = count.bytes;
    report->entries = count.entries;
    kernel_package_free(&package);
    kernel_blob_free(&agent);
    return code;
}
