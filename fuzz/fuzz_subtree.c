/* Fuzzed: a base image (ext2/3/4, zeros follow up to 128 KiB) whose /root is copied onto a work disk, and all of it
 * onto an image of its own, as the root disk and as the work disk. */
#include "../unpriv/image/import/disk.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const struct import_plan plan = {
        .magic = IMPORT_PLAN_MAGIC, .mode = IMPORT_WORK, .size = 32 << 20, .limit = 24 << 20};
    struct import_report report = {0};
    struct err e = {0};
    int base = memfd_create("base", MFD_CLOEXEC), disk = memfd_create("disk", MFD_CLOEXEC);
    if (base < 0 || disk < 0 || write(base, data, size) != (ssize_t) size || ftruncate(base, 128 << 10))
        abort();
    int r = disk_work(&plan, base, -1, disk, &report, &e);
    if (r && (e.code != -r || !e.text[0]))
        abort(); /* a failure has its sentence */
    int whole = memfd_create("whole", MFD_CLOEXEC);
    if (whole < 0)
        abort();
    r = disk_copy(&plan, base, base, whole, &report, &e);
    if (r && (e.code != -r || !e.text[0]))
        abort();
    (void) close(whole);
    (void) close(base);
    (void) close(disk);
    return 0;
}
