/* The figures' port: what a request deserves, and where it may be. */
#include "../../unpriv/metrics/place.h"
#include "../../unpriv/metrics/request.h"

#include <criterion/criterion.h>
#include <string.h>

#define TOKEN "0123456789abcdef"
#define RIGHT "Authorization: Bearer " TOKEN "\r\n"

Test(metrics_port, what_a_request_deserves) {
    static const struct {
        const char *bytes;
        enum request_status status;
        int head_only;
    } cases[] = {
        {"", REQUEST_MORE, 0},
        {"GET /metrics HTTP/1.1\r\n" RIGHT "\r\n", REQUEST_OK, 0},
        {"GET /metrics HTTP/1.0\r\nHost: a\r\nAUTHORIZATION:bearer   " TOKEN "\t\r\nB:\r\n\r\nbody", REQUEST_OK, 0},
        {"GET /metrics?x HTTP/1.1\r\n" RIGHT "\r\n", REQUEST_OK, 0},
        {"HEAD /metrics HTTP/1.1\r\n" RIGHT "\r\n", REQUEST_OK, 1},
        {"GET /metrics HTTP/1.1\r\n" RIGHT, REQUEST_MORE, 0},
        {"GET /metrics HTTP/1.1\r\n" RIGHT "\r", REQUEST_MORE, 0},
        {"GET /metrics HTTP/1.1\r\n\r\n", REQUEST_FOREIGN, 0},
        {"GET / HTTP/1.1\r\n\r\n", REQUEST_FOREIGN, 0}, /* nothing is told without it */
        {"PUT /metrics HTTP/1.1\r\n\r\n", REQUEST_FOREIGN, 0},
        {"GET /metrics HTTP/1.1\r\nAuthorization: Bearer\r\n\r\n", REQUEST_FOREIGN, 0},
        {"GET /metrics HTTP/1.1\r\nAuthorization: Basic " TOKEN "\r\n\r\n", REQUEST_FOREIGN, 0},
        {"GET /metrics HTTP/1.1\r\nAuthorization: Bearer 0123456789abcde\r\n\r\n", REQUEST_FOREIGN, 0},
        {"GET /metrics HTTP/1.1\r\nAuthorization: Bearer 0123456789abcdee\r\n\r\n", REQUEST_FOREIGN, 0},
        {"GET /metrics HTTP/1.1\r\nAuthorization: Bearer " TOKEN "0\r\n\r\n", REQUEST_FOREIGN, 0},
        {"GET /metrics HTTP/1.1\r\nAuthorisation: Bearer " TOKEN "\r\n\r\n", REQUEST_FOREIGN, 0},
        {"GET /metrics HTTP/1.1\r\n\r\n" RIGHT "\r\n", REQUEST_FOREIGN, 0}, /* behind the head */
        {"GET /metrics HTTP/1.1\r\n" RIGHT RIGHT "\r\n", REQUEST_BAD, 0},
        {"GET / HTTP/1.1\r\n" RIGHT "\r\n", REQUEST_NOWHERE, 0},
        {"GET /metric HTTP/1.1\r\n" RIGHT "\r\n", REQUEST_NOWHERE, 0},
        {"GET /metricsx HTTP/1.1\r\n" RIGHT "\r\n", REQUEST_NOWHERE, 0},
        {"DELETE /metrics HTTP/1.1\r\n" RIGHT "\r\n", REQUEST_METHOD, 0},
        {"GET /metrics HTTP/2.0\r\n" RIGHT "\r\n", REQUEST_BAD, 0},
        {"GET /metrics\r\n" RIGHT "\r\n", REQUEST_BAD, 0},
        {"GET  HTTP/1.1\r\n" RIGHT "\r\n", REQUEST_BAD, 0},
        {"GET /metrics HTTP/1.1 \r\n" RIGHT "\r\n", REQUEST_BAD, 0},
        {"GET /metrics HTTP/1.1\r\nNo header\r\n" RIGHT "\r\n", REQUEST_BAD, 0},
        {"GET /metrics HTTP/1.1\r\n: x\r\n" RIGHT "\r\n", REQUEST_BAD, 0},
        {"GET /metrics HTTP/1.1\r\nAuthorization : Bearer " TOKEN "\r\n\r\n", REQUEST_BAD, 0},
        {"get /metrics HTTP/1.1", REQUEST_BAD, 0}, /* at its first byte */
        {"\r\n\r\n", REQUEST_BAD, 0},
        {"\x16\x03\x01", REQUEST_BAD, 0},
        {"GET /\x01", REQUEST_BAD, 0},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        int head_only = -1;
        enum request_status status = request_read(cases[i].bytes, strlen(cases[i].bytes), TOKEN, &head_only);
        cr_expect_eq(status, cases[i].status, "%s: %d", cases[i].bytes, (int) status);
        cr_expect_eq(head_only, cases[i].head_only, "%s", cases[i].bytes);
    }
}

Test(metrics_port, a_request_has_a_bound) {
    char bytes[REQUEST_MAX];
    int head_only = 0;
    memset(bytes, 'A', sizeof(bytes));
    cr_expect_eq(request_read(bytes, sizeof(bytes) - 1, TOKEN, &head_only), REQUEST_MORE);
    cr_expect_eq(request_read(bytes, sizeof(bytes), TOKEN, &head_only), REQUEST_LONG);
}

Test(metrics_port, places_are_the_loopbacks) {
    static const struct {
        const char *text;
        int64_t place; /* -1: none */
    } cases[] = {
        {"", 0},
        {"127.0.0.1:9464", (int64_t) 0x7f000001 << 16 | 9464},
        {"127.255.255.255:65535", METRICS_PLACE_MOST},
        {"127.0.0.1:1", (int64_t) 0x7f000001 << 16 | 1},
        {"127.0.0.1:0", -1},
        {"127.0.0.1:65536", -1},
        {"127.0.0.1:", -1},
        {"127.0.0.1", -1},
        {"127.0.0.1:9464 ", -1},
        {"127.0.0.1:+9464", -1},
        {"127.0.0.1:94640000000000000000", -1},
        {"127.1:9464", -1},
        {":9464", -1},
        {"0.0.0.0:9464", -1},
        {"192.168.1.5:9464", -1},
        {"128.0.0.1:9464", -1},
        {"localhost:9464", -1},
        {"[::1]:9464", -1},
        {"9464", -1},
        {"127.0.0.1.127.0.0.1.127.0.0.1:9464", -1},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char text[METRICS_PLACE_SIZE];
        int64_t place = 0;
        const int r = metrics_place_read(cases[i].text, &place);
        cr_expect_eq(r == 0, cases[i].place >= 0, "%s", cases[i].text);
        if (r || cases[i].place < 0)
            continue;
        cr_expect_eq(place, cases[i].place, "%s", cases[i].text);
        metrics_place_show(place, text, sizeof(text));
        cr_expect_str_eq(text, *cases[i].text ? cases[i].text : "off");
    }
    cr_expect_not(metrics_place_good((int64_t) 0x0a000001 << 16 | 80));
    cr_expect_not(metrics_place_good((int64_t) 0x7f000001 << 16));
    cr_expect_not(metrics_place_good(9464));
    cr_expect_not(metrics_place_good(-1));
}
