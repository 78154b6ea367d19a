/* Fuzzed: the archive of a saved image, OCI's or docker's; and on its own each document of one. */
#include "../unpriv/image/import/load.h"
#include "../unpriv/image/oci_manifest.h"
#include "image_check.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void as_documents(const char *text, size_t size) {
    struct oci_config config;
    struct oci_manifest manifest;
    struct oci_descriptor picked;
    struct err e = {0};
    if (oci_config_read(text, size, &config, &e) && !e.text[0])
        abort();
    (void) oci_platform_check(&config, "linux/arm64/v8", &e);
    oci_config_free(&config);
    (void) oci_manifest_read(text, size, &manifest, &e);
    oci_manifest_free(&manifest);
    (void) oci_is_index(text, size);
    (void) oci_index_pick(text, size, "", "latest", &picked, &e);
    (void) oci_index_pick(text, size, "linux/arm64/v8", "", &picked, &e);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const struct import_plan plan = {
        .magic = IMPORT_PLAN_MAGIC, .mode = IMPORT_LOAD, .size = 32 << 20, .limit = 24 << 20};
    struct import_report report = {0};
    struct err e = {0};
    if (size && data[0] == '{') {
        as_documents((const char *) data, size);
        return 0;
    }
    int in = memfd_create("saved", MFD_CLOEXEC), image = memfd_create("image", MFD_CLOEXEC);
    int config = memfd_create("config", MFD_CLOEXEC);
    if (in < 0 || image < 0 || config < 0 || write(in, data, size) != (ssize_t) size || lseek(in, 0, SEEK_SET))
        abort();
    int r = load_image(&plan, in, image, config, &report, &e);
    if (r == 0)
        image_read_again(image);
    else if (e.code != -r || !e.text[0])
        abort(); /* a failure has its sentence */
    (void) close(in);
    (void) close(image);
    (void) close(config);
    return 0;
}
