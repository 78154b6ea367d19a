/* Runs banger-fetch and the banger-import that takes in what it gets: two processes, a
 * pipe between them (stream.h, or one file's bytes), followed together. */
#ifndef BANGER_IMAGE_FETCHER_H
#define BANGER_IMAGE_FETCHER_H

#include "../../common/err.h"
#include "../daemon/rpc.h"
#include "importer.h"

#include <stddef.h>
#include <stdint.h>

struct fetch_result {
    int64_t bytes;   /* that came over the network */
    int64_t cached;  /* that the cache had */
    int64_t layers;  /* 0 for one file */
    char digest[80]; /* of the manifest, "sha256:<hex>"; "" for one file */
    int known;       /* the digest is one of the request's `known`: nothing came, nothing was imported */
};

struct fetch_job {
    const cJSON *request;          /* unpriv/image/fetch/request.h */
    int may_be_known;              /* the request has `known` */
    int cache;                     /* the blob cache's folder */
    int config;                    /* where the run configuration goes, -1 for one file */
    struct import_plan plan;       /* of the import; its descriptor 4 is the pipe */
    int outputs[IMPORTER_FDS_MAX]; /* the import's 5, 6, ... */
    size_t output_count;
};

/* The member "proxies" of a client's arguments goes into the request. 0 or -EINVAL with `e` filled. */
int fetcher_take_proxies(const cJSON *args, cJSON *request, struct err *e);

/* Runs both to their ends. Progress goes to `rpc`: stage "pull" until everything has come, "import" after it.
 * 0 with both results filled, or a negative errno with the sentence of whichever failed first;
 * -ECANCELED when the client went away. In every case both processes are gone. */
int fetcher_run(const struct rpc *rpc, const struct fetch_job *job, struct fetch_result *fetched,
                struct import_result *imported, struct err *e);

#endif
