/* The WWW-Authenticate header (RFC 9110, section 11.6.1), as registries write it. */
#ifndef BANGER_IMAGE_FETCH_CHALLENGE_H
#define BANGER_IMAGE_FETCH_CHALLENGE_H

#include "../../../common/err.h"

enum challenge_scheme { CHALLENGE_NONE, CHALLENGE_BASIC, CHALLENGE_BEARER };

struct challenge {
    enum challenge_scheme scheme;
    char realm[1024], service[256], scope[512]; /* of BEARER; "" where missing; printable ASCII */
};

/* Takes the first Bearer challenge that has a realm, else Basic, else none. `text` is one header or
 * several joined by commas. 0, or -EBADMSG with a sentence where it is malformed. */
int challenge_parse(const char *text, struct challenge *out, struct err *e);

#endif
