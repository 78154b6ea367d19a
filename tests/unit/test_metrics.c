/* metrics.h: what is counted and how it is written. */
#include "../../unpriv/daemon/metrics.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static char *print(void (*what)(FILE *out)) {
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    what(out);
    cr_assert_eq(fclose(out), 0);
    return text;
}

static void expect(const char *text, const char *line) {
    cr_expect(strstr(text, line), "no %s in\n%s", line, text);
}

Test(metrics, requests_are_counted_by_operation_and_result) {
    static const char list[] = "vm.list", exec[] = "vm.exec";
    metrics_request(list, 0, 3);
    metrics_request(list, 1, 5);
    metrics_request(list, 0, 6);
    metrics_request(exec, 0, 3600000);
    metrics_pulled(10);
    metrics_pulled(-1);
    char *text = print(metrics_print_counters);
    expect(text, "banger_requests_total{op=\"vm.list\",result=\"ok\"} 2\n");
    expect(text, "banger_requests_total{op=\"vm.list\",result=\"error\"} 1\n");
    expect(text, "banger_request_seconds_bucket{op=\"vm.list\",le=\"0.005\"} 2\n"); /* the bound counts */
    expect(text, "banger_request_seconds_bucket{op=\"vm.list\",le=\"0.02\"} 3\n");
    expect(text, "banger_request_seconds_bucket{op=\"vm.list\",le=\"+Inf\"} 3\n");
    expect(text, "banger_request_seconds_sum{op=\"vm.list\"} 0.014\n");
    expect(text, "banger_request_seconds_bucket{op=\"vm.exec\",le=\"600\"} 0\n");
    expect(text, "banger_request_seconds_count{op=\"vm.exec\"} 1\n");
    expect(text, "banger_pulled_bytes_total 10\n");
    free(text);
}

Test(metrics, boots_are_one_histogram) {
    metrics_boot(900);
    metrics_boot(200000);
    char *text = print(metrics_print_counters);
    expect(text, "banger_vm_boot_seconds_bucket{le=\"0.5\"} 0\n");
    expect(text, "banger_vm_boot_seconds_bucket{le=\"1\"} 1\n");
    expect(text, "banger_vm_boot_seconds_bucket{le=\"+Inf\"} 2\n");
    expect(text, "banger_vm_boot_seconds_sum 200.900\n");
    expect(text, "banger_vm_boot_seconds_count 2\n");
    free(text);
}

static void print_label(FILE *out) {
    metrics_label(out, "a\"b\\c\nd");
}

Test(metrics, labels_are_escaped) {
    char *text = print(print_label);
    cr_expect_str_eq(text, "a\\\"b\\\\c\\nd");
    free(text);
}
