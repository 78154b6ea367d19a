#include "catalogs.h"

#include "../../common/toml.h"
#include "client.h"
#include "file.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define CATALOG   "catalog.toml"
#define SIGNATURE ".minisig"
#define KEYS      "trusted-keys"
#define SYSTEM    "/etc/banger"
#define EMBEDDED  "banger's own catalog"

/* What the administrator's files say is believed where nobody else can write them. */
static int check_owner(const char *path, struct err *e) {
    struct stat st;
    if (stat(path, &st) || (st.st_uid == 0 && !(st.st_mode & 022)))
        return 0;
    return err_set(e, EPERM,
                   "%s is not root's alone: an administrator runs `chown root: %s && chmod go-w %s`, or removes it",
                   path, path, path);
}

static int add_keys(struct minisign_keys *keys, const char *folder, struct err *e) {
    char path[PATH_MAX + 32], text[TOML_BYTES_MAX];
    (void) snprintf(path, sizeof(path), "%s/" KEYS, folder);
    int r = strcmp(folder, SYSTEM) == 0 ? check_owner(path, e) : 0;
    ssize_t size = r ? r : file_read(path, text, sizeof(text), e);
    return size < 0 ? (int) size : minisign_keys_add(keys, text, (size_t) size, path, e);
}

const struct minisign_keys *catalogs_keys(struct err *e) {
    static struct minisign_keys keys;
    static int known;
    const struct paths *paths = client_paths(e);
    if (!paths)
        return NULL;
    if (known)
        return &keys;
    keys.count = 0;
    if (add_keys(&keys, SYSTEM, e) || add_keys(&keys, paths->config, e))
        return NULL;
    known = 1;
    return &keys;
}

static int check_signature(const char *path, const char *text, size_t size, struct err *e) {
    char file[PATH_MAX + 48], signature[MINISIGN_BYTES_MAX];
    struct minisign_signature s;
    (void) snprintf(file, sizeof(file), "%s" SIGNATURE, path);
    ssize_t got = file_read(file, signature, sizeof(signature), e);
    if (got < 0)
        return (int) got;
    if (got == 0)
        return err_set(e, ENOKEY, "%s is not signed: sign it with `minisign -Sm %s`, or remove it", path, path);
    int r = minisign_signature_read(signature, (size_t) got, file, &s, e);
    const struct minisign_keys *keys = r ? NULL : catalogs_keys(e);
    return keys ? minisign_check(keys, &s, text, size, path, e) : -e->code;
}

static int add_file(struct catalog *c, const char *folder, struct err *e) {
    char path[PATH_MAX + 32], text[TOML_BYTES_MAX + 1];
    (void) snprintf(path, sizeof(path), "%s/" CATALOG, folder);
    int r = strcmp(folder, SYSTEM) == 0 ? check_owner(path, e) : 0;
    ssize_t size = r ? r : file_read(path, text, sizeof(text), e);
    if (size <= 0)
        return (int) size;
    if (size > TOML_BYTES_MAX)
        return err_set(e, EFBIG, "%s is larger than %d KiB: take some entries out", path, TOML_BYTES_MAX >> 10);
    r = check_signature(path, text, (size_t) size, e);
    return r ? r : catalog_add(c, text, (size_t) size, path, e);
}

const struct catalog *catalogs(struct err *e) {
    static struct catalog all;
    static int known;
    const struct paths *paths = client_paths(e);
    if (!paths)
        return NULL;
    if (known)
        return &all;
    if (catalog_add(&all, catalog_embedded, strlen(catalog_embedded), EMBEDDED, e) || add_file(&all, SYSTEM, e) ||
        add_file(&all, paths->config, e)) {
        all.image_count = all.kernel_count = 0;
        return NULL;
    }
    known = 1;
    return &all;
}

static int no_entry(const char *noun, const char *name, struct err *e) {
    return err_set(e, ENOENT, "no %s is named %s, here or in the catalog: `banger %s list --available` shows both",
                   noun, name, noun);
}

const struct catalog_image *catalogs_image(const char *name, struct err *e) {
    const struct catalog *c = catalogs(e);
    const struct catalog_image *image = c ? catalog_image(c, name) : NULL;
    if (c && !image)
        (void) no_entry("image", name, e);
    return image;
}

const struct catalog_kernel *catalogs_kernel(const char *name, struct err *e) {
    const struct catalog *c = catalogs(e);
    const struct catalog_kernel *kernel = c ? catalog_kernel(c, name) : NULL;
    if (c && !kernel)
        (void) no_entry("kernel", name, e);
    return kernel;
}
