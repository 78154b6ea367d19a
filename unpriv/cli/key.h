/* banger's own ssh key, in the state folder: the user's is never touched. */
#ifndef BANGER_CLI_KEY_H
#define BANGER_CLI_KEY_H

#include "../../common/err.h"
#include "../store/paths.h"

#define KEY_TEXT_MAX 1024

/* Reads the public key, made with ssh-keygen on first use, as a line of authorized_keys. */
int key_public(const struct paths *paths, char text[KEY_TEXT_MAX], struct err *e);

#endif
