/* Fuzzed: a tar stream that becomes a root file system; what comes out must open and have a top folder. */
#include "../unpriv/image/import/disk.h"

#include <ext2fs/ext2fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(int image) {
    ext2_filsys fs = NULL;
    char name[64];
    ext2_ino_t found = 0;
    (void) snprintf(name, sizeof(name), "/proc/self/fd/%d", image);
    if (ext2fs_open(name, EXT2_FLAG_64BITS, 0, 0, unix_io_manager, &fs) || ext2fs_read_bitmaps(fs) ||
        ext2fs_lookup(fs, EXT2_ROOT_INO, "lost+found", 10, NULL, &found) || found != 11)
        abort();
    (void) ext2fs_close_free(&fs);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const struct import_plan plan = {
        .magic = IMPORT_PLAN_MAGIC, .mode = IMPORT_ROOTFS, .size = 32 << 20, .limit = 24 << 20};
    struct import_report report = {0};
    struct err e = {0};
    int tar = memfd_create("tar", MFD_CLOEXEC), image = memfd_create("image", MFD_CLOEXEC);
    if (tar < 0 || image < 0 || write(tar, data, size) != (ssize_t) size || lseek(tar, 0, SEEK_SET))
        abort();
    int r = disk_rootfs(&plan, tar, image, &report, &e);
    if (r == 0)
        check(image);
    else if (e.code != -r || !e.text[0])
        abort(); /* a failure has its sentence */
    (void) close(tar);
    (void) close(image);
    return 0;
}
