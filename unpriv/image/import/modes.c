/* The modes of images and disks, on the descriptors of plan.h. */
#include "bundle.h"
#include "disk.h"
#include "load.h"

int import_rootfs(const struct import_plan *plan, struct import_report *report, struct err *e) {
    return disk_rootfs(plan, IMPORT_FD_INPUT, IMPORT_FD_OUTPUT, report, e);
}

int import_work(const struct import_plan *plan, struct import_report *report, struct err *e) {
    int tar = plan->flags & IMPORT_HAS_TAR ? IMPORT_FD_TAR : -1;
    return disk_work(plan, IMPORT_FD_INPUT, tar, IMPORT_FD_OUTPUT, report, e);
}

int import_layers(const struct import_plan *plan, struct import_report *report, struct err *e) {
    struct blobs_stream source;
    blobs_stream(&source, IMPORT_FD_INPUT);
    return disk_layers(plan, &source.blobs, IMPORT_FD_OUTPUT, report, e);
}

int import_copy(const struct import_plan *plan, struct import_report *report, struct err *e) {
    int work = plan->flags & IMPORT_HAS_WORK ? IMPORT_FD_TAR : -1;
    return disk_copy(plan, IMPORT_FD_INPUT, work, IMPORT_FD_OUTPUT, report, e);
}

int import_load(const struct import_plan *plan, struct import_report *report, struct err *e) {
    return load_image(plan, IMPORT_FD_INPUT, IMPORT_FD_OUTPUT, IMPORT_FD_CONFIG, IMPORT_FD_SCRATCH, report, e);
}

int import_bundle(const struct import_plan *plan, struct import_report *report, struct err *e) {
    return bundle_read(plan, IMPORT_FD_INPUT, IMPORT_FD_OUTPUT, IMPORT_FD_CONFIG, report, e);
}
