/* What is run in a guest by banger itself: `--with-ssh`, a workspace's tools, `image build`. */
#ifndef BANGER_CLI_PROVISION_H
#define BANGER_CLI_PROVISION_H

#include "../../common/err.h"
#include "options.h"

#include <cjson/cJSON.h>

/* Adds argv and cwd to `command`: one of banger's scripts for guests, with its words (NULL-terminated). 0 or a
 * negative errno with `e` filled. */
int provision_script(cJSON *command, const char *script, const char *const *words, struct err *e);

/* Has a vm.create or vm.run prepare the guest: `ssh` with an sshd; with `repository`, its name, by starting to install
 * the tools of the workspace in `folder`. 0 or a negative errno with `e` filled. */
int provision_vm(cJSON *args, int ssh, const char *folder, const char *repository, struct err *e);

/* `banger image build`. */
int command_image_build(const struct invocation *in);

extern const char build_details[];

#endif
