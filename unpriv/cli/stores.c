#include "stores.h"

#include "../../common/io.h"
#include "catalogs.h"
#include "client.h"
#include "output.h"
#include "package.h"
#include "pull.h"
#include "session.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

/* --- shared shapes ----------------------------------------------------------- */

/* Takes `result`. */
static void show_result(const struct invocation *in, cJSON *result) {
    if (options_given(in, OPT_JSON)) {
        output_json(result);
        return;
    }
    cJSON *config = cJSON_DetachItemFromObjectCaseSensitive(result, "config"); /* of an image: how it is run */
    output_object(result);
    output_object(config);
    cJSON_Delete(config);
    cJSON_Delete(result);
}

/* Shows the object that `op` gives for the first argument. */
static int show(const struct invocation *in, const char *op, cJSON *args) {
    struct err e = {0};
    cJSON *result = NULL;
    int r = client_simple(op, args, &result, &e);
    if (r < 0)
        return session_failed(r, &e);
    show_result(in, result);
    return 0;
}

/* `op` for each named object; one that fails does not stop the others. */
static int delete_each(const struct invocation *in, const char *op, void (*after)(const char *name)) {
    int status = 0;
    for (int i = 0; i < in->argument_count; i++) {
        struct err e = {0};
        int r = client_simple(op, client_named(in->arguments[i]), NULL, &e);
        if (r < 0)
            status = session_failed(r, &e);
        else if (after)
            after(in->arguments[i]);
    }
    return status;
}

static int has_name(const cJSON *list, const char *name) {
    const cJSON *item = NULL;
    cJSON_ArrayForEach(item, list) {
        if (strcmp(output_member(item, "name"), name) == 0)
            return 1;
    }
    return 0;
}

/* A list's answer under `key`, as JSON or through `rows`; then, with --available,
 * the catalog's entries that are not in it. */
static int list(const struct invocation *in, const char *op, const char *key, const char *const *headers, int columns,
                void (*rows)(struct table *t, const cJSON *item),
                void (*available)(const struct catalog *c, cJSON *list)) {
    struct err e = {0};
    cJSON *result = NULL;
    const struct catalog *all = options_given(in, OPT_AVAILABLE) ? catalogs(&e) : NULL;
    int r = e.code ? -e.code : client_simple(op, NULL, &result, &e);
    if (r < 0)
        return session_failed(r, &e);
    cJSON *items = cJSON_GetObjectItemCaseSensitive(result, key);
    if (all)
        available(all, items);
    if (options_given(in, OPT_JSON)) {
        output_json(result);
        return 0;
    }
    struct table t = {.columns = columns};
    const cJSON *item = NULL;
    cJSON_ArrayForEach(item, items) {
        rows(&t, item);
    }
    table_print(&t, headers);
    cJSON_Delete(result);
    return 0;
}

/* --- images ------------------------------------------------------------------ */

static void image_row(struct table *t, const cJSON *image) {
    char size[32], used[32];
    output_bytes(output_number(image, "size"), size);
    output_bytes(output_number(image, "used"), used);
    int here = *output_member(image, "id") != 0;
    table_cell(t, "%s", output_member(image, "name"));
    table_cell(t, "%s", output_member(image, "kind"));
    table_cell(t, "%s", here ? used : "");
    table_cell(t, "%s", here ? size : "");
    table_cell(t, "%s", here ? output_member(image, "created") : "to pull");
}

static void add_entry(cJSON *items, const char *name, const char *kind, const char *source) {
    if (has_name(items, name))
        return;
    cJSON *entry = client_named(name);
    if (kind)
        (void) cJSON_AddStringToObject(entry, "kind", kind);
    (void) cJSON_AddStringToObject(entry, "source", source);
    (void) cJSON_AddBoolToObject(entry, "available", 1);
    (void) cJSON_AddItemToArray(items, entry);
}

static void available_images(const struct catalog *c, cJSON *items) {
    for (size_t i = 0; i < c->image_count; i++)
        add_entry(items, c->images[i].name, c->images[i].kind, c->images[i].name);
}

int command_image_list(const struct invocation *in) {
    static const char *const headers[] = {"NAME", "KIND", "CONTENT", "SIZE", "CREATED"};
    return list(in, "image.list", "images", headers, 5, image_row, available_images);
}

int command_image_show(const struct invocation *in) {
    return show(in, "image.show", client_named(in->arguments[0]));
}

/* Standard input up to its end, without the newline that `echo` leaves. */
static int read_password(const struct invocation *in, char *out, size_t size, struct err *e) {
    if (!options_given(in, OPT_PASSWORD_STDIN))
        return 0;
    ssize_t n = io_read_some(STDIN_FILENO, out, size);
    if (n < 0 || (size_t) n == size)
        return err_set(e, EINVAL, "the password on standard input cannot be read, or is longer than %zu bytes",
                       size - 1);
    out[n] = '\0';
    out[strcspn(out, "\r\n")] = '\0';
    return 0;
}

static void print_pulled(const cJSON *image) {
    cJSON *line = cJSON_CreateObject();
    (void) cJSON_AddItemToObject(line, "image", cJSON_Duplicate(image, 1));
    char *text = cJSON_PrintUnformatted(line);
    (void) printf("%s\n", text ? text : "{}");
    cJSON_free(text);
    cJSON_Delete(line);
}

/* The image `here` (NULL: there is none of that name) is made, or its registry asked for a newer one. */
static int pull_named(const struct invocation *in, const cJSON *here, struct progress *p, cJSON **image,
                      struct err *e) {
    char password[8192] = "";
    const char *name = here ? output_member(here, "name") : in->arguments[0];
    const char *other = strcmp(name, in->arguments[0]) == 0 ? NULL : name; /* it was found by its reference */
    int r = read_password(in, password, sizeof(password), e);
    const struct registry_pull pull = {.reference = in->arguments[0],
                                       .name = options_text(in, OPT_NAME, other),
                                       .platform = options_text(in, OPT_PLATFORM, ""),
                                       .username = options_text(in, OPT_USERNAME, NULL),
                                       .password = password,
                                       .size = options_number(in, OPT_SIZE, 0),
                                       .kernel = options_text(in, OPT_KERNEL_REF, NULL),
                                       .insecure = options_given(in, OPT_INSECURE)};
    if (r == 0)
        r = pull_anywhere(&pull, p, image, e);
    explicit_bzero(password, sizeof(password));
    return r;
}

int command_image_pull(const struct invocation *in) {
    struct err e = {0};
    struct progress progress;
    const char *name = options_text(in, OPT_NAME, in->arguments[0]);
    progress_open(&progress, stderr, options_given(in, OPT_QUIET));
    if (options_given(in, OPT_JSON))
        progress_json(&progress, stdout);
    cJSON *here = NULL, *image = NULL;
    int r = client_simple("image.show", client_named(name), &here, &e);
    const int ask = r == 0 && (*output_member(here, "digest") || options_given(in, OPT_NAME)); /* a registry */
    if (r == -ENOENT || ask) {
        r = pull_named(in, here, &progress, &image, &e);
    } else if (r == 0) {
        progress_line(&progress, "%s is here already: `banger image delete %s` first makes it afresh", name, name);
        image = cJSON_Duplicate(here, 1);
    }
    cJSON_Delete(here);
    if (cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(image, "unchanged")))
        progress_line(&progress, "%s is up to date", output_member(image, "name"));
    if (r == 0 && options_given(in, OPT_JSON))
        print_pulled(image);
    cJSON_Delete(image);
    return r < 0 ? session_failed(r, &e) : 0;
}

int command_image_delete(const struct invocation *in) {
    return delete_each(in, "image.delete", NULL);
}

/* --- kernels ----------------------------------------------------------------- */

static void kernel_row(struct table *t, const cJSON *kernel) {
    table_cell(t, "%s", output_member(kernel, "name"));
    table_cell(t, "%s", output_member(kernel, "release"));
    table_cell(t, "%s", output_member(kernel, "source"));
    table_cell(t, "%s", *output_member(kernel, "id") ? output_member(kernel, "created") : "to pull");
}

static void available_kernels(const struct catalog *c, cJSON *items) {
    for (size_t i = 0; i < c->kernel_count; i++)
        add_entry(items, c->kernels[i].name, NULL, c->kernels[i].package);
}

int command_kernel_list(const struct invocation *in) {
    static const char *const headers[] = {"NAME", "RELEASE", "SOURCE", "CREATED"};
    return list(in, "kernel.list", "kernels", headers, 4, kernel_row, available_kernels);
}

int command_kernel_show(const struct invocation *in) {
    return show(in, "kernel.show", client_named(in->arguments[0]));
}

int command_kernel_pull(const struct invocation *in) {
    struct err e = {0};
    struct progress progress;
    const char *name = in->arguments[0];
    progress_open(&progress, stderr, options_given(in, OPT_QUIET));
    cJSON *kernel = NULL;
    int r = client_simple("kernel.show", client_named(name), &kernel, &e);
    cJSON_Delete(kernel);
    if (r == 0 && !options_given(in, OPT_FORCE)) {
        progress_line(&progress, "%s is here already: --force gets it afresh", name);
        return 0;
    }
    if (r == 0 || r == -ENOENT)
        r = pull_kernel(name, r == 0, &progress, &e);
    return r < 0 ? session_failed(r, &e) : 0;
}

int command_kernel_import(const struct invocation *in) {
    struct err e = {0};
    struct progress progress;
    if (!options_given(in, OPT_SOURCE)) {
        (void) err_set(&e, EINVAL, "--from is missing: give a file, a folder or a package's name with it");
        output_error(&e);
        return EXIT_USAGE;
    }
    progress_open(&progress, stderr, options_given(in, OPT_QUIET));
    int r = pull_kernel_from(in->arguments[0], options_text(in, OPT_SOURCE, ""), options_text(in, OPT_MODULES, NULL),
                             options_given(in, OPT_FORCE), &progress, &e);
    return r < 0 ? session_failed(r, &e) : 0;
}

static void forget_package(const char *name) {
    const struct paths *paths = client_paths(NULL);
    if (paths)
        package_forget(paths, name);
}

int command_kernel_delete(const struct invocation *in) {
    return delete_each(in, "kernel.delete", forget_package);
}

/* --- the daemon -------------------------------------------------------------- */

int command_daemon_status(const struct invocation *in) {
    struct err e = {0};
    char text[ERR_TEXT_MAX + 128];
    cJSON *status = NULL;
    int r = client_simple("daemon.status", NULL, &status, &e);
    if (r < 0)
        return session_failed(r, &e);
    if (client_daemon_differs(status, text)) {
        (void) snprintf(text + strlen(text), 128, ": " CLIENT_DIFFERS_REMEDY);
        output_warning(text);
    }
    show_result(in, status);
    return 0;
}

int command_daemon_stop(const struct invocation *in) {
    (void) in;
    struct err e = {0};
    struct client_call call = {.op = "daemon.stop", .no_start = 1};
    int r = client_request(&call, NULL, &e);
    if (r == -ENOENT && !e.code) {
        (void) fputs("bangerd is not running\n", stderr);
        return 0;
    }
    return r < 0 ? session_failed(r, &e) : 0;
}

int command_daemon_socket(const struct invocation *in) {
    (void) in;
    struct err e = {0};
    const struct paths *paths = client_paths(&e);
    if (!paths)
        return session_failed(-e.code, &e);
    (void) printf("%s/run/bangerd.sock\n", paths->state);
    return 0;
}
