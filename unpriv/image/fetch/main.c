/* banger-fetch: one image or file from a server that may be anybody's. See request.h. */
#include "fetch.h"
#include "transfer.h"

#include "../../../common/io.h"
#include "../messages.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int read_request(struct fetch_request *out, struct err *e) {
    char *text = malloc(REQUEST_BYTES_MAX);
    ssize_t size = text ? io_read_some(FETCH_FD_REQUEST, text, REQUEST_BYTES_MAX) : -ENOMEM;
    int r = size < 0 ? err_sys(e, (int) -size, "banger-fetch cannot read its request")
                     : request_parse(text, (size_t) size, out, e);
    if (size > 0)
        explicit_bzero(text, (size_t) size);
    free(text);
    return r;
}

/* The cache is this account's alone, so that nobody else puts blobs into it. */
static int open_cache(struct fetch *f, struct err *e) {
    struct stat st;
    if (mkdirat(FETCH_FD_CACHE, "sha256", 0700) && errno != EEXIST)
        return err_sys(e, errno, "cannot write to the blob cache");
    f->store = openat(FETCH_FD_CACHE, "sha256", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (f->store < 0 || fstat(f->store, &st))
        return err_sys(e, errno, "cannot open the blob cache");
    if (st.st_uid != geteuid() || (st.st_mode & 022))
        return err_set(e, EPERM,
                       "the blob cache can be written by others: remove it (`banger image cache prune`) and try again");
    return 0;
}

static int run(struct fetch *f, struct err *e) {
    int r = messages_take("banger-fetch", e);
    if (r)
        return r;
    if (curl_global_init(CURL_GLOBAL_DEFAULT)) /* reads OpenSSL's settings */
        return err_set(e, EIO, "banger-fetch cannot start libcurl: reinstall banger");
    r = fetch_confine(FETCH_FD_CACHE, e);
    if (r == 0)
        r = read_request(&f->request, e);
    if (r == 0)
        r = open_cache(f, e);
    if (r)
        return r;
    (void) fcntl(FETCH_FD_PIPE, F_SETFL, O_NONBLOCK);
    f->multi = curl_multi_init();
    if (!f->multi)
        return err_set(e, ENOMEM, "there is not enough memory: free some and try again");
    return f->request.is_file ? fetch_file(f, e) : fetch_image(f, e);
}

int main(void) {
    static struct fetch f;
    struct err e = {0};
    (void) signal(SIGPIPE, SIG_IGN);
    (void) signal(SIGXFSZ, SIG_IGN);
    if (run(&f, &e)) {
        fetch_failed(&f, &e);
        return 1;
    }
    fetch_succeeded(&f);
    return 0;
}
