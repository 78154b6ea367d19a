/* banger-fetch: one image or file from a server that may be anybody's. See request.h. */
#include "fetch.h"
#include "transfer.h"

#include "../../../common/io.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Messages keep a descriptor of their own: what a library prints to standard error goes nowhere. */
static int take_messages(struct err *e) {
    int kept = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 16);
    if (kept < 0)
        return err_sys(e, errno, "banger-fetch was started without a descriptor for messages");
    fetch_messages_open(kept);
    return dup2(STDOUT_FILENO, STDERR_FILENO) < 0
               ? err_sys(e, errno, "banger-fetch was started without a standard output")
               : 0;
}

static int read_request(struct fetch_request *out, struct err *e) {
    char *text = malloc(REQUEST_BYTES_MAX);
    ssize_t size = text ? io_read_some(FETCH_FD_REQUEST, text, REQUEST_BYTES_MAX) : -ENOMEM;
    int r = size < 0 ? err_sys(e, (int) -size, "banger-fetch cannot read its request")
                     : request_parse(text, (size_t) size, out, e);
    if (text)
        explicit_bzero(text, REQUEST_BYTES_MAX);
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
    int r = take_messages(e);
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
        fetch_failed(&e);
        return 1;
    }
    fetch_succeeded(&f);
    return 0;
}
