/* Every record at once, and where memory for that ends. */
#include "../../unpriv/vm/internal.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char folder[] = "/tmp/banger-records-XXXXXX";

static void begin(void) {
    struct err e = {0};
    cr_assert(mkdtemp(folder));
    cr_assert_eq(store_open(folder, &e), 0, "%s", e.text);
    const struct image_record image = {.id = "00000000000000a1", .name = "i", .kind = "debian", .kernel = "k"};
    const struct kernel_record kernel = {.id = "00000000000000b1", .name = "k"};
    cr_assert(store_image_add(&image, &e) == 0 && store_kernel_add(&kernel, &e) == 0, "%s", e.text);
}

static void end(void) {
    char command[64];
    store_close();
    (void) snprintf(command, sizeof(command), "rm -rf %s", folder);
    cr_assert_eq(system(command), 0); // NOLINT(cert-env33-c): a folder of the test's own
}

TestSuite(vm_records, .init = begin, .fini = end);

static void fill(uint32_t count) {
    struct err e = {0};
    for (uint32_t slot = 0; slot < count; slot++) {
        struct vm_record r = {
            .slot = slot, .image = "00000000000000a1", .kernel = "00000000000000b1", .vcpus = 1, .memory_mib = 128};
        (void) snprintf(r.id, sizeof(r.id), "%016x", slot + 1);
        (void) snprintf(r.name, sizeof(r.name), "vm-%03u", slot);
        cr_assert_eq(store_vm_add_soon(&r, &e), 0, "%s", e.text);
    }
}

Test(vm_records, are_all_there) {
    struct vm_records all;
    struct err e = {0};
    fill(100);
    cr_assert_eq(vm_records_read(&all, &e), 0, "%s", e.text);
    cr_assert_eq(all.count, 100u);
    for (uint32_t slot = 0; slot < 100; slot++)
        cr_expect_eq(all.list[slot].slot, slot);
    free(all.list);
}

#define LITTLE "allocator_may_return_null=1:max_allocation_size_mb=1"

/* Once more in a process of its own, whose allocator (AddressSanitizer's) gives no MiB in one piece. */
Test(vm_records, are_none_where_there_is_no_memory_for_all) {
    struct vm_records all;
    struct err e = {0};
    const char *options = getenv("ASAN_OPTIONS");
    if (!options || strcmp(options, LITTLE) != 0) {
        char command[256], self[128] = "";
        cr_assert_gt(readlink("/proc/self/exe", self, sizeof(self) - 1), 0);
        (void) snprintf(command, sizeof(command),
                        "env -i ASAN_OPTIONS=" LITTLE " %s --quiet --filter 'vm_records/are_none*' 2>/dev/null", self);
        cr_assert_eq(system(command), 0); // NOLINT(cert-env33-c): this program
        return;
    }
    cr_assert_gt(SLOT_MAX * sizeof(struct vm_record), (size_t) 1 << 20);
    fill(SLOT_MAX);
    cr_expect_eq(vm_records_read(&all, &e), -ENOMEM);
    cr_expect_str_eq(e.text, "no memory for the records of all VMs: free some");
}
