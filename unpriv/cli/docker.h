/* What docker login left for a registry: ~/.docker/config.json and the helpers it names. */
#ifndef BANGER_CLI_DOCKER_H
#define BANGER_CLI_DOCKER_H

#include "../../common/err.h"

#include <stddef.h>

#define DOCKER_SECRET_MAX 8192 /* with the NUL */
#define DOCKER_FILE_MAX   ((size_t) 1 << 20)
#define DOCKER_HELPER     "docker-credential-"

struct docker_login {
    char username[256]; /* "" : none was found */
    char password[DOCKER_SECRET_MAX];
    char token[DOCKER_SECRET_MAX]; /* an identity token; then it is what counts */
    char helper[64];               /* of docker_config_find: docker-credential-<this> knows the login */
    char server[192];              /* the name it knows the registry by */
};

/* What the file's text says about `host` ("docker.io", "registry.example:5000"): credHelpers, then
 * credsStore, then auths. The members are "" where it says nothing. 0 or a negative errno with a sentence. */
int docker_config_find(const char *text, size_t size, const char *host, struct docker_login *out, struct err *e);

/* A credential helper's answer, {"Username":..,"Secret":..}: 0 or a negative errno with a sentence. */
int docker_helper_answer(const char *text, size_t size, struct docker_login *out, struct err *e);

/* Looks in $DOCKER_CONFIG or ~/.docker, and runs the helper where one is named. Without a file, or
 * without a login in it, all is "" and the result 0. */
int docker_login_find(const char *host, struct docker_login *out, struct err *e);

#endif
