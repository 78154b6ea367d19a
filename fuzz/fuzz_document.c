/* Fuzzes a registry's documents as banger-fetch reads them. The first byte says which: bit 0 a
 * configuration (else a manifest or index), bit 1 with a Content-Type. */
#include "../unpriv/image/fetch/manifest.h"
#include "../unpriv/image/oci_config.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define LIMIT ((int64_t) 1 << 32)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_manifest(const struct manifest *m) {
    int64_t total = 0;
    if (m->count == 0 || m->count > STREAM_LAYERS_MAX || !reference_is_digest(m->config.digest))
        abort();
    for (size_t i = 0; i < m->count; i++) {
        total += m->layers[i].size;
        if (m->layers[i].size < 0 || total > LIMIT || !reference_is_digest(m->layers[i].digest))
            abort();
    }
}

static void read_document(const char *text, size_t size, const char *type) {
    const struct platform wanted = {.os = "linux", .architecture = "amd64"};
    enum document_kind kind = DOCUMENT_INDEX;
    struct descriptor chosen;
    struct manifest m;
    struct err e = {0};
    if (document_kind(text, size, type, &kind, &e)) {
        if (!e.text[0])
            abort();
        return;
    }
    if (kind == DOCUMENT_INDEX) {
        if (index_choose(text, size, &wanted, &chosen, &e) == 0 && !reference_is_digest(chosen.digest))
            abort();
    } else if (manifest_read(text, size, LIMIT, &m, &e) == 0) {
        check_manifest(&m);
        manifest_free(&m);
    }
}

static void read_config(const char *text, size_t size) {
    const struct platform wanted = {.os = "linux", .architecture = "amd64"};
    struct manifest m = {.count = 1};
    struct err e = {0};
    if (config_read(text, size, &wanted, &m, &e) == 0 &&
        (!m.canonical || strlen(m.canonical) > OCI_CANONICAL_MAX || !m.diff_ids))
        abort();
    manifest_free(&m);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 1)
        return 0;
    const char *text = (const char *) data + 1;
    if (data[0] & 1)
        read_config(text, size - 1);
    else
        read_document(text, size - 1, data[0] & 2 ? "application/vnd.oci.image.manifest.v1+json" : "");
    return 0;
}
