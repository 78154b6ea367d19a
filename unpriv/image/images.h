/* Images: base root file systems of the account, images/<id>/rootfs.ext4. */
#ifndef BANGER_IMAGE_IMAGES_H
#define BANGER_IMAGE_IMAGES_H

#include "../../common/err.h"

/* Start-up: removes folders that no record owns (imports that did not end). 0 or a negative errno. */
int images_recover(struct err *e);

#endif
