/* What an image says of how it is run: images/<id>/config.json in the state folder,
 * out of an OCI image's configuration or inherited by `image build`.
 *
 *     {"env":["A=b"],"workdir":"/x","user":"1000:1000","entrypoint":["/e"],"cmd":["c"],
 *      "stop_signal":"SIGTERM","architecture":"amd64"}
 *
 * All members are optional; a variable without "=" is none and dropped. Whoever made the image chose every byte: it is
 * read up to RUN_CONFIG_MAX, and each member's type, number and characters are checked here. */
#ifndef BANGER_IMAGE_RUN_CONFIG_H
#define BANGER_IMAGE_RUN_CONFIG_H

#include "../../common/err.h"

#include <cjson/cJSON.h>
#include <stddef.h>

#define RUN_CONFIG_MAX   65536
#define RUN_CONFIG_WORDS 4096 /* of one list */
#define RUN_CONFIG_FILE  "config.json"

/* A configuration as text: an object of the members above and no others (unknown ones
 * are dropped), the caller's (cJSON_Delete). NULL with `e` filled. */
cJSON *run_config_parse(const char *text, size_t size, struct err *e);
/* The same for one that is JSON already; `config` stays the caller's. */
cJSON *run_config_take(const cJSON *config, struct err *e);

/* The configuration of an image, by its id, below the state folder's descriptor: `*config`
 * is the caller's, NULL for an image without one. 0 or a negative errno with `e` filled. */
int run_config_read(int state, const char *id, cJSON **config, struct err *e);
/* The same of an open file, from its start. */
int run_config_read_file(int fd, cJSON **config, struct err *e);
/* Writes it to an empty file. 0 or a negative errno with `e` filled. */
int run_config_write(int fd, const cJSON *config, struct err *e);

/* A string member, or "". */
const char *run_config_text(const cJSON *config, const char *key);

#endif
