/* banger-import: one image, disk or kernel from untrusted bytes. See unpriv/image/plan.h. */
#include "import.h"

#include "../../../common/io.h"

#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <signal.h>
#include <unistd.h>

static int (*const modes[])(const struct import_plan *, struct import_report *, struct err *) = {
    [IMPORT_ROOTFS] = import_rootfs, [IMPORT_WORK] = import_work,     [IMPORT_COPY] = import_copy,
    [IMPORT_KERNEL] = kernel_import, [IMPORT_LAYERS] = import_layers, [IMPORT_LOAD] = import_load,
    [IMPORT_BUNDLE] = import_bundle,
};

/* Messages keep a descriptor of their own: what a library prints to standard error goes nowhere. */
static int take_messages(struct err *e) {
    int messages = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 16);
    if (messages < 0)
        return err_sys(e, errno, "The importer was started without a descriptor for messages");
    import_messages_open(messages);
    if (dup2(STDOUT_FILENO, STDERR_FILENO) < 0)
        return err_sys(e, errno, "The importer was started without a standard output");
    return 0;
}

static int run(struct import_report *report, struct err *e) {
    struct import_plan plan;
    int r = take_messages(e);
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
        import_failed(&e);
        return 1;
    }
    import_succeeded(&report);
    return 0;
}
