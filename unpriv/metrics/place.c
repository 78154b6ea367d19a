#include "place.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DIGITS "0123456789"

int metrics_place_good(int64_t place) {
    return place == 0 || (place > 0 && place >> 40 == 127 && (place & 0xffff) != 0);
}

int metrics_place_read(const char *text, int64_t *place) {
    char address[INET_ADDRSTRLEN] = "";
    struct in_addr in;
    const char *colon = strchr(text, ':');
    *place = 0;
    if (*text == '\0')
        return 0;
    if (!colon || colon - text >= INET_ADDRSTRLEN)
        return -EINVAL;
    memcpy(address, text, (size_t) (colon - text));
    const size_t digits = strspn(colon + 1, DIGITS);
    const unsigned long port = strtoul(colon + 1, NULL, 10);
    if (inet_pton(AF_INET, address, &in) != 1 || digits == 0 || digits > 5 || colon[1 + digits] || port > 65535)
        return -EINVAL;
    *place = (int64_t) ntohl(in.s_addr) << 16 | (int64_t) port;
    return metrics_place_good(*place) ? 0 : -EINVAL;
}

void metrics_place_show(int64_t place, char *out, size_t size) {
    const unsigned a = (unsigned) (place >> 16);
    if (place == 0)
        (void) snprintf(out, size, "off");
    else
        (void) snprintf(out, size, "%u.%u.%u.%u:%u", a >> 24, a >> 16 & 255, a >> 8 & 255, a & 255,
                        (unsigned) (place & 0xffff));
}
