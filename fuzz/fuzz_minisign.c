/* A file of public keys (first byte even) or a signature. Nothing that is made here can
 * be a signature of these bytes by a trusted key. */
#include "../unpriv/catalog/minisign.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const char key[] = "RWQCySfbx+8G+mt/FhyImsWwhrBcA7247+Yg6i/TzJPQy7wJ0j0/e8C0\n";
    struct minisign_keys keys = {0};
    struct minisign_signature s;
    struct err e = {0};
    if (size == 0)
        return 0;
    const char *text = (const char *) data + 1;
    if (data[0] % 2 == 0) {
        int r = minisign_keys_add(&keys, text, size - 1, "f", &e);
        if (keys.count > MINISIGN_KEYS_MAX || (r != 0) != (e.code != 0) || (r && strncmp(e.text, "f:", 2) != 0))
            abort();
        return 0;
    }
    if (minisign_signature_read(text, size - 1, "f", &s, &e)) {
        if (!e.text[0])
            abort();
        return 0;
    }
    if (memchr(s.comment, '\0', sizeof(s.comment)) == NULL || minisign_keys_add(&keys, key, strlen(key), "k", &e))
        abort();
    if (minisign_signer(&keys, &s, "f", &e) && minisign_check(&keys, &s, "hello", 5, "f", &e) == 0)
        abort(); /* the seeds sign other bytes */
    return 0;
}
