/* store.h: migrations, constraints, round trips, clear sentences. */
#include "../../common/wire.h"
#include "../../unpriv/store/store.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[64];

static void in_folder(char *out, size_t size, const char *name) {
    (void) snprintf(out, size, "%s/%s", folder, name);
}

static void begin(void) {
    struct err e = {0};
    strcpy(folder, "/tmp/banger-store-XXXXXX");
    cr_assert(mkdtemp(folder));
    cr_assert_eq(store_open(folder, &e), 0, "%s", e.text);
}

static void end(void) {
    char command[128];
    store_close();
    (void) snprintf(command, sizeof(command), "rm -rf %s", folder);
    cr_assert_eq(system(command), 0);
}

TestSuite(store, .init = begin, .fini = end);

static struct image_record image(const char *id, const char *name) {
    struct image_record r = {.kind = "debian",
                             .source = "catalog",
                             .kernel = "k",
                             .digest = "sha256:d",
                             .asked = 6,
                             .size = 5ll << 30,
                             .used = 7,
                             .created = 1700000000};
    (void) snprintf(r.id, sizeof(r.id), "%s", id);
    (void) snprintf(r.name, sizeof(r.name), "%s", name);
    return r;
}

static void add_base(void) {
    struct err e = {0};
    struct image_record i = image("00000000000000a1", "debian-12");
    struct kernel_record k = {.id = "00000000000000b1", .name = "k", .release = "6.1", .source = "s", .agent = "0.1"};
    cr_assert_eq(store_image_add(&i, &e), 0, "%s", e.text);
    cr_assert_eq(store_kernel_add(&k, &e), 0, "%s", e.text);
}

static struct vm_record vm(const char *id, const char *name, uint32_t slot) {
    struct vm_record r = {.slot = slot,
                          .state = VM_RUNNING,
                          .image = "00000000000000a1",
                          .kernel = "00000000000000b1",
                          .vcpus = 2,
                          .memory_mib = 512,
                          .disk = 1ll << 40,
                          .egress = WIRE_EGRESS_NAT,
                          .ipv6 = 1,
                          .root_kind = "reflink",
                          .accel = "tcg",
                          .workspace = "/root/w",
                          .source = "/home/x/w'; DROP TABLE vms; --",
                          .head = "0123456789abcdef",
                          .remove = 1,
                          .pid = -5,
                          .subnet = 0xfffffffcu,
                          .created = 1,
                          .started = 2};
    (void) snprintf(r.id, sizeof(r.id), "%s", id);
    (void) snprintf(r.name, sizeof(r.name), "%s", name);
    return r;
}

Test(store, every_member_of_a_vm_survives_a_restart) {
    struct err e = {0};
    struct vm_record in;
    struct vm_record out;
    memset(&in, 0, sizeof(in));
    add_base();
    in = vm("00000000000000c1", "web", 999);
    cr_assert_eq(store_vm_add(&in, &e), 0, "%s", e.text);
    store_close();
    cr_assert_eq(store_open(folder, &e), 0, "%s", e.text);
    cr_assert_eq(store_vm_get("web", &out, &e), 0, "%s", e.text);
    cr_expect_str_eq(out.id, in.id);
    cr_expect_str_eq(out.image, in.image);
    cr_expect_str_eq(out.kernel, in.kernel);
    cr_expect_str_eq(out.root_kind, in.root_kind);
    cr_expect_str_eq(out.accel, in.accel);
    cr_expect_str_eq(out.workspace, in.workspace);
    cr_expect_str_eq(out.source, in.source);
    cr_expect_str_eq(out.head, in.head);
    cr_expect(out.slot == 999 && out.state == VM_RUNNING && out.vcpus == 2 && out.memory_mib == 512);
    cr_expect(out.disk == 1ll << 40 && out.egress == WIRE_EGRESS_NAT && out.remove == 1 && out.pid == -5);
    cr_expect(out.subnet == 0xfffffffcu && out.created == 1 && out.started == 2 && out.ipv6 == 1);
    out.state = VM_STOPPED;
    out.pid = 0;
    cr_assert_eq(store_vm_update(&out, &e), 0);
    cr_assert_eq(store_vm_get("00000000000000c1", &in, &e), 0);
    cr_expect(in.state == VM_STOPPED && in.pid == 0);
}

Test(store, names_and_slots_are_taken_once) {
    struct err e = {0};
    add_base();
    struct vm_record a = vm("00000000000000c1", "a", 1);
    struct vm_record same_name = vm("00000000000000c2", "a", 2);
    struct vm_record same_slot = vm("00000000000000c3", "c", 1);
    struct vm_record no_slot = vm("00000000000000c4", "d", 1000);
    struct image_record i = image("00000000000000a2", "debian-12");
    cr_assert_eq(store_vm_add(&a, &e), 0);
    cr_expect_eq(store_vm_add(&same_name, &e), -EEXIST);
    cr_expect_str_eq(e.text, "VM a already exists: choose another name, or delete it first");
    cr_expect_eq(store_vm_add(&same_slot, &e), -EEXIST);
    cr_expect(strstr(e.text, "slot"), "%s", e.text);
    cr_expect_lt(store_vm_add(&no_slot, &e), 0);
    cr_expect_eq(store_image_add(&i, &e), -EEXIST);
}

Test(store, what_a_vm_uses_cannot_be_deleted) {
    struct err e = {0};
    add_base();
    struct vm_record r = vm("00000000000000c1", "web", 0);
    cr_assert_eq(store_vm_add(&r, &e), 0);
    cr_expect_eq(store_image_delete(r.image, &e), -EBUSY);
    cr_expect_str_eq(e.text, "VM web uses this image: delete the VM first (`banger vm delete web`)");
    cr_expect_eq(store_kernel_delete(r.kernel, &e), -EBUSY);
    cr_assert_eq(store_vm_delete(r.id, &e), 0);
    cr_expect_eq(store_image_delete(r.image, &e), 0);
    cr_expect_eq(store_kernel_delete(r.kernel, &e), 0);
    cr_expect_eq(store_vm_add(&r, &e), -ENOENT);
    cr_expect_eq(store_vm_delete(r.id, &e), -ENOENT);
    cr_expect_eq(store_vm_update(&r, &e), -ENOENT);
    cr_expect_eq(store_vm_get("web", &r, &e), -ENOENT);
    cr_expect_str_eq(e.text, "no VM is named web; `banger vm list` shows what exists");
}

Test(store, an_image_takes_the_name_of_the_one_before_it) {
    struct err e = {0};
    int kept = 1;
    struct image_record out;
    add_base();
    const struct image_record second = image("00000000000000a2", "debian-12");
    const struct image_record third = image("00000000000000a3", "debian-12");
    const struct image_record other = image("00000000000000a4", "other");
    const struct image_record taken = image("00000000000000a5", "other");
    cr_assert_eq(store_image_replace("00000000000000a1", &second, &kept, &e), 0, "%s", e.text);
    cr_expect_eq(kept, 0);
    cr_expect_eq(store_image_get("00000000000000a1", &out, &e), -ENOENT);
    struct vm_record r = vm("00000000000000c1", "web", 0);
    (void) snprintf(r.image, sizeof(r.image), "%s", second.id);
    cr_assert_eq(store_vm_add(&r, &e), 0, "%s", e.text);
    cr_assert_eq(store_image_replace(second.id, &third, &kept, &e), 0, "%s", e.text);
    cr_expect_eq(kept, 1);
    cr_assert_eq(store_image_get("debian-12", &out, &e), 0);
    cr_expect_str_eq(out.id, third.id);
    cr_assert_eq(store_image_get(second.id, &out, &e), 0);
    cr_expect_str_eq(out.name, second.id);
    cr_expect_eq(store_image_replace("00000000000000a1", &other, &kept, &e), -ENOENT);
    cr_expect_eq(store_image_get("other", &out, &e), -ENOENT);
    cr_assert_eq(store_image_add(&other, &e), 0);
    cr_expect_eq(store_image_replace(third.id, &taken, &kept, &e), -EEXIST); /* and nothing was changed */
    cr_assert_eq(store_image_get("debian-12", &out, &e), 0);
    cr_expect_str_eq(out.id, third.id);
}

static void collect(const struct image_record *r, void *arg) {
    strcat(arg, r->name);
    strcat(arg, " ");
}

Test(store, lists_are_in_name_order_and_a_name_wins_over_an_id) {
    struct err e = {0};
    char names[256] = "";
    struct image_record out;
    const struct image_record all[] = {image("0000000000000001", "c"), image("0000000000000002", "a"),
                                       image("0000000000000003", "0000000000000001")};
    for (size_t i = 0; i < 3; i++)
        cr_assert_eq(store_image_add(&all[i], &e), 0, "%s", e.text);
    cr_assert_eq(store_images(collect, names, &e), 0);
    cr_expect_str_eq(names, "0000000000000001 a c ");
    cr_assert_eq(store_image_get("0000000000000001", &out, &e), 0);
    cr_expect_str_eq(out.id, "0000000000000003");
}

static void run_sql(const char *sql) {
    char path[128];
    sqlite3 *db = NULL;
    in_folder(path, sizeof(path), "banger.db");
    store_close();
    cr_assert_eq(sqlite3_open(path, &db), SQLITE_OK);
    cr_assert_eq(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK, "%s", sqlite3_errmsg(db));
    cr_assert_eq(sqlite3_close(db), SQLITE_OK);
}

Test(store, a_newer_database_is_refused_and_left_alone) {
    struct err e = {0};
    add_base();
    run_sql("PRAGMA user_version = 99");
    cr_expect_eq(store_open(folder, &e), -EPROTO);
    cr_expect(strstr(e.text, "newer banger (version 99"), "%s", e.text);
    const char *known = strstr(e.text, "this one knows ");
    char back[64];
    cr_assert(known, "%s", e.text);
    (void) snprintf(back, sizeof(back), "PRAGMA user_version = %ld",
                    strtol(known + strlen("this one knows "), NULL, 10));
    run_sql(back);
    cr_expect_eq(store_open(folder, &e), 0, "%s", e.text);
}

Test(store, an_egress_list_goes_with_its_vm) {
    static const char list[] = "allow=192.0.2.0/24,host.example.org";
    char text[64] = "x";
    struct err e = {0};
    add_base();
    struct vm_record r = vm("00000000000000c1", "web", 3);
    cr_assert_eq(store_vm_add(&r, &e), 0, "%s", e.text);
    cr_expect_eq(store_egress_get(r.id, text, sizeof(text), &e), 0);
    cr_expect_str_eq(text, "");
    cr_expect_eq(store_egress_set(r.id, "allow=192.0.2.1", &e), 0, "%s", e.text);
    cr_expect_eq(store_egress_set(r.id, list, &e), 0, "%s", e.text);
    cr_expect_eq(store_egress_get(r.id, text, sizeof(text), &e), 0);
    cr_expect_str_eq(text, list);
    cr_expect_eq(store_vm_delete(r.id, &e), 0);
    cr_expect_eq(store_egress_get(r.id, text, sizeof(text), &e), 0);
    cr_expect_str_eq(text, "");
    cr_expect_lt(store_egress_set("0123456789abcdef", list, &e), 0, "no VM, no list");
}

Test(store, a_damaged_database_is_one_sentence) {
    struct err e = {0};
    char path[128];
    in_folder(path, sizeof(path), "banger.db");
    store_close();
    FILE *file = fopen(path, "w");
    cr_assert(file);
    for (int i = 0; i < 500; i++)
        (void) fputs("this is no database\n", file);
    (void) fclose(file);
    in_folder(path, sizeof(path), "banger.db-wal");
    (void) unlink(path);
    cr_expect_eq(store_open(folder, &e), -EUCLEAN);
    cr_expect(strstr(e.text, "is damaged: put a copy back"), "%s", e.text);
    struct image_record out;
    cr_expect_lt(store_image_get("x", &out, &e), 0); /* and nothing crashes afterwards */
}

Test(store, a_missing_folder_is_one_sentence) {
    struct err e = {0};
    cr_expect_eq(store_open("/nonexistent", &e), -EROFS);
    cr_expect(strstr(e.text, "cannot write the state database /nonexistent/banger.db"), "%s", e.text);
}
