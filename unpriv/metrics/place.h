/* Where banger-metrics listens, as one number: address * 65536 + port; 0 for nowhere. */
#ifndef BANGER_METRICS_PLACE_H
#define BANGER_METRICS_PLACE_H

#include <stddef.h>
#include <stdint.h>

#define METRICS_PLACE_MOST ((int64_t) 0x7fffffff << 16 | 65535)
#define METRICS_PLACE_SIZE 24

/* "127.0.0.1:9464", or "" for nowhere: 0, or -EINVAL for what is no port of the IPv4 loopback. */
int metrics_place_read(const char *text, int64_t *place);
/* 1 for what metrics_place_read can give. */
int metrics_place_good(int64_t place);
/* The text for it, "off" for nowhere. */
void metrics_place_show(int64_t place, char *out, size_t size);

#endif
