/* banger-import: one image, disk or kernel from untrusted bytes. See unpriv/image/plan.h. */
#include "import.h"

#include "../../../common/io.h"
#include "../messages.h"

#include <errno.h>
#include <locale.h>
#include <signal.h>

static int (*const modes[])(const struct import_plan *, struct import_report *, struct err *) = {
    [IMPORT_ROOTFS] = import_rootfs, [IMPORT_WORK] = import_work,     [IMPORT_COPY] = import_copy,
    [IMPORT_KERNEL] = kernel_import, [IMPORT_LAYERS] = import_layers, [IMPORT_LOAD] = import_load,
    [IMPORT_BUNDLE] = import_bundle,
};

static int run(struct import_report *report, struct err *e) {
    struct import_plan plan;
    int r = messages_take("banger-import", e);
    if (r == 0)
        r = import_confine(e);
    if (r)
        return r;
    r = io_read(IMPORT_FD_PLAN, &plan, sizeof(plan));
    if (r)
        return err_sys(e, -r, "The importer's plan cannot be read");
    if (plan.magic != IMPORT_PLAN_MAGIC || plan.mode >= sizeof(modes) / sizeof(modes[0]) || !modes[plan.mode])
        return err_set(e, EINVAL, "The importer's plan is not one of this version; install banger again");
    return modes[plan.mode](&plan, report, e);
}

int main(void) {
    struct import_report report = {0};
    struct err e = {0};
    (void) signal(SIGPIPE, SIG_IGN);
    (void) signal(SIGXFSZ, SIG_IGN);       /* a full disk and a size limit are told in words */
    (void) setlocale(LC_CTYPE, "C.UTF-8"); /* names of pax headers are UTF-8 */
    if (run(&report, &e)) {
        messages_failed(&e);
        return 1;
    }
    import_succeeded(&report);
    return 0;
}
