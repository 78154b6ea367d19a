#include "load.h"

#include "../../common/cleanup.h"
#include "../../common/json.h"
#include "../store/folder.h"
#include "images.h"
#include "names.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

static int copy_word(const cJSON *args, const char *key, char *out, size_t size, struct err *e) {
    const char *text = json_string_or(args, key, "", e);
    if (!text)
        return -EINVAL;
    if (strlen(text) >= size)
        return err_set(e, EINVAL, "\"%s\" is longer than %zu bytes", key, size - 1);
    memcpy(out, text, strlen(text) + 1);
    return 0;
}

/* A file without a name for the time of the import; what a crash leaves of it goes as any unfinished image does. */
static int make_scratch(struct err *e) {
    char id[FOLDER_ID_SIZE];
    cleanup_fd int images = images_open(e);
    if (images < 0)
        return images;
    folder_new_id(id);
    cleanup_fd int fd = openat(images, id, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0 || unlinkat(images, id, 0))
        return err_sys(e, errno, "cannot make a file to unpack the archive into");
    return take_fd(&fd);
}

static int fill(const struct rpc *rpc, const struct image_files *files, struct image_record *r, void *arg,
                struct import_result *got, struct err *e) {
    cleanup_fd int scratch = make_scratch(e);
    if (scratch < 0)
        return scratch;
    const int fds[] = {rpc->fds[0], files->rootfs, files->config, scratch};
    (void) r;
    rpc_progress(rpc, "import", "reading", 0, 0);
    return importer_run(rpc, arg, fds, 4, "import", got, e);
}

int load_op(struct rpc *rpc, cJSON **result, struct err *e) {
    struct image_record r = {.kind = "oci"};
    struct import_plan plan = {.mode = IMPORT_LOAD};
    int64_t size = 0;
    if (image_arguments(rpc, &r, &size, e) || name_copy_text(rpc->args, "source", r.source, sizeof(r.source), e) ||
        copy_word(rpc->args, "tag", plan.tag, sizeof(plan.tag), e) ||
        copy_word(rpc->args, "platform", plan.platform, sizeof(plan.platform), e))
        return -EINVAL;
    if (rpc->fd_count != 1)
        return err_set(e, EINVAL, "image.load takes one descriptor, the saved image; %zu came", rpc->fd_count);
    plan.size = (uint64_t) size;
    return image_create(rpc, &r, NULL, fill, &plan, result, e);
}
