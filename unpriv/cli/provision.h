/* What is run in a guest before it is used: `--with-ssh`, and `image build`. */
#ifndef BANGER_CLI_PROVISION_H
#define BANGER_CLI_PROVISION_H

#include "../../common/err.h"
#include "options.h"

#include <cjson/cJSON.h>

/* Has a vm.create or vm.run give the guest an sshd first. 0 or a negative errno with `e` filled. */
int provision_ssh(cJSON *args, struct err *e);

/* `banger image build`. */
int command_image_build(const struct invocation *in);

extern const char build_details[];

#endif
