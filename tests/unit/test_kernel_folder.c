/* Folders with kernels: what is packed of them, and what links and odd names lead to. */
#include "../../unpriv/cli/kernel_folder.h"
#include "../../unpriv/cli/package.h"

#include <archive.h>
#include <archive_entry.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

static char folder[] = "/tmp/banger-folder.XXXXXX";

static void shell(const char *command) {
    cr_assert_eq(setenv("F", folder, 1), 0);
    cr_assert_eq(system(command), 0, "%s", command);
}

static void make(void) {
    cr_assert(mkdtemp(folder) != NULL);
    shell("mkdir $F/in $F/out && echo secret >$F/out/secret");
}

static void unmake(void) {
    shell("rm -rf $F");
}

/* Packs $F/in: the tar's descriptor, 0, or a negative errno. */
static int pack(struct err *e) {
    char path[64];
    *e = (struct err){0};
    (void) snprintf(path, sizeof path, "%s/in", folder);
    int root = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    cr_assert_geq(root, 0);
    int fd = kernel_folder_pack(root, path, folder, e);
    (void) close(root);
    return fd;
}

/* "name=content " of each entry, as it is in the tar; closes it. */
static const char *list(int fd) {
    static char text[8192];
    struct archive *reader = archive_read_new();
    struct archive_entry *entry = NULL;
    size_t used = 0;
    text[0] = '\0';
    cr_assert_eq(archive_read_support_format_tar(reader), ARCHIVE_OK);
    cr_assert_eq(archive_read_open_fd(reader, fd, 10240), ARCHIVE_OK);
    while (archive_read_next_header(reader, &entry) == ARCHIVE_OK) {
        char content[64] = "";
        cr_assert_geq(archive_read_data(reader, content, sizeof content - 1), 0);
        used += (size_t) snprintf(text + used, sizeof text - used, "%s=%s ", archive_entry_pathname(entry), content);
    }
    (void) archive_read_free(reader);
    (void) close(fd);
    return text;
}

static void packs(const char *wanted) {
    struct err e;
    int fd = pack(&e);
    cr_assert_gt(fd, 0, "%d %s", fd, e.text);
    cr_assert_str_eq(list(fd), wanted);
}

static void refuses(const char *word) {
    struct err e;
    cr_assert_lt(pack(&e), 0);
    cr_assert(strstr(e.text, word), "%s", e.text);
}

TestSuite(kernel_folder, .init = make, .fini = unmake);

Test(kernel_folder, a_root) {
    shell(
        "cd $F/in && mkdir -p boot lib/modules/6.1/kernel/x && printf K >boot/vmlinuz-6.1 && touch boot/config-6.1 && "
        "printf B >lib/modules/6.1/modules.builtin && printf M >lib/modules/6.1/kernel/x/virtio-rng.ko.xz && "
        "printf N >lib/modules/6.1/kernel/x/nouveau.ko");
    packs("boot/vmlinuz-6.1=K lib/modules/6.1/modules.builtin=B lib/modules/6.1/kernel/virtio-rng.ko.xz=M ");
}

Test(kernel_folder, a_root_with_its_kernel_beside_the_modules) {
    shell("cd $F/in && mkdir -p usr/lib/modules/6.2 && ln -s usr/lib lib && printf K >usr/lib/modules/6.2/vmlinuz && "
          "printf E >usr/lib/modules/6.2/ext4.ko.zst");
    packs("boot/vmlinuz-6.2=K lib/modules/6.2/kernel/ext4.ko.zst=E ");
}

/* Packs $F/KERNEL with $F/in as its modules. */
static int pair(const char *kernel, struct err *e) {
    char file[96], modules[64];
    *e = (struct err){0};
    (void) snprintf(file, sizeof file, "%s/%s", folder, kernel);
    (void) snprintf(modules, sizeof modules, "%s/in", folder);
    return kernel_folder_pair(file, modules, folder, e);
}

Test(kernel_folder, a_kernel_and_its_modules_elsewhere) {
    struct err e;
    shell("printf K >$F/out/bzImage && cd $F/in && touch junk && ln -s ../out build");
    cr_assert_eq(pair("out/bzImage", &e), -ENOENT);
    cr_assert(strstr(e.text, "neither a modules.builtin nor a module"), "%s", e.text);
    shell(
        "cd $F/in && mkdir -p kernel/drivers && printf B >modules.builtin && printf M >kernel/drivers/virtio_net.ko && "
        "printf N >kernel/drivers/nouveau.ko");
    int fd = pair("out/bzImage", &e);
    cr_assert_gt(fd, 0, "%s", e.text);
    const char *text = list(fd);
    cr_assert(strncmp(text, "boot/vmlinuz-given=K ", 21) == 0, "%s", text);
    cr_assert(strstr(text, " lib/modules/given/modules.builtin=B "), "%s", text);
    cr_assert(strstr(text, " lib/modules/given/kernel/virtio_net.ko=M "), "%s", text);
    cr_assert(!strstr(text, "nouveau") && !strstr(text, "secret"), "%s", text);
    cr_assert_eq(pair("out/nosuch", &e), -ENOENT);
    cr_assert(strstr(e.text, "cannot open the kernel"), "%s", e.text);
    cr_assert_lt(pair("out", &e), 0);
    shell("rm -r $F/in");
    cr_assert_eq(pair("out/bzImage", &e), -ENOENT);
    cr_assert(strstr(e.text, "folder of modules"), "%s", e.text);
}

Test(kernel_folder, a_kernel_without_modules) {
    shell("cd $F/in && mkdir boot && printf K >boot/vmlinux-7");
    packs("boot/vmlinuz-7=K ");
}

Test(kernel_folder, build_folders_of_old_and_new_kernels) {
    static const char *const orders[] = {"kernel/drivers/block/virtio_blk.ko\\nkernel/kernel/torture.ko\\n",
                                         "drivers/block/virtio_blk.ko\\n",
                                         "drivers/block/virtio_blk.o\\nkernel/torture.o\\n\\no\\n.o"};
    shell("cd $F/in && mkdir -p include/config arch/x86/boot drivers/block kernel && echo 6.3 "
          ">include/config/kernel.release "
          "&& printf Z >arch/x86/boot/bzImage && printf V >vmlinux && printf B >modules.builtin && "
          "printf D >drivers/block/virtio_blk.ko && touch vmlinux.o kernel/torture.ko");
    for (size_t i = 0; i < sizeof orders / sizeof *orders; i++) {
        char command[256];
        (void) snprintf(command, sizeof command, "printf '%s' >$F/in/modules.order", orders[i]);
        shell(command);
        packs("boot/vmlinuz-6.3=Z lib/modules/6.3/modules.builtin=B lib/modules/6.3/kernel/virtio_blk.ko=D ");
    }
    shell("rm $F/in/arch/x86/boot/bzImage $F/in/modules.*");
    packs("boot/vmlinuz-6.3=V ");
    shell("printf '../../out/virtio_blk.ko\\n/virtio_net.ko\\n' >$F/in/modules.order; touch $F/out/virtio_blk.ko");
    refuses("virtio_blk.ko");
}

Test(kernel_folder, links_stay_inside) {
    shell("cd $F/in && mkdir -p boot lib && ln -s $F/out/secret boot/vmlinuz-1");
    refuses("vmlinuz-1");
    shell("cd $F/in && ln -sf ../../../../../../../../etc/passwd boot/vmlinuz-1");
    refuses("vmlinuz-1");
    shell("cd $F/in && printf K >real && ln -sf /real boot/vmlinuz-1");
    packs("boot/vmlinuz-1=K "); /* an absolute link means the folder's root */
    shell("cd $F/in && ln -s $F/out lib/modules && mkdir -p $F/out/1 && printf X >$F/out/1/virtio.ko");
    packs("boot/vmlinuz-1=K ");
    shell("cd $F/in && rm lib/modules && mkdir -p lib/modules/1 && ln -s $F/out/1 lib/modules/1/build && "
          "ln -s $F/out/1/virtio.ko lib/modules/1/virtio.ko && mkfifo lib/modules/1/virtio_blk.ko");
    packs("boot/vmlinuz-1=K ");
    shell("cd $F/in && rm boot/vmlinuz-1 && mkfifo boot/vmlinuz-1");
    refuses("no file");
    shell("cd $F/in && rm boot/vmlinuz-1 && ln -s /proc/self/root/etc/passwd boot/vmlinuz-1");
    refuses("vmlinuz-1");
}

Test(kernel_folder, which_kernel_is_not_guessed) {
    struct err e;
    cr_assert_eq(pack(&e), 0);
    shell("mkdir $F/in/boot");
    refuses("no kernel");
    shell("cd $F/in/boot && touch vmlinuz-1 vmlinuz-2");
    refuses("more than one");
    shell("cd $F/in/boot && rm vmlinuz-* && touch 'vmlinuz-a b' vmlinuz-..");
    refuses("no kernel");
    shell("cd $F/in/boot && truncate -s 300M vmlinuz-3");
    refuses("at most");
    shell("cd $F/in && rm -r boot && mkdir -p include/config && echo ../../x >include/config/kernel.release && touch "
          "vmlinux");
    cr_assert_eq(pack(&e), 0);
}

/* --- the kept copy ------------------------------------------------------------------- */

TestSuite(kept, .init = make, .fini = unmake);

Test(kept, what_one_that_was_killed_has_left_is_written_anew) {
    struct paths paths = {.cache = ""};
    (void) snprintf(paths.cache, sizeof paths.cache, "%s", folder);
    shell("mkdir $F/kernels && echo longer than the package >$F/kernels/.k.new && echo package >$F/package");
    shell("touch $F/kernels/.other.new");
    char path[64];
    (void) snprintf(path, sizeof path, "%s/package", folder);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    package_keep(&paths, "k", fd);
    shell("cmp $F/package $F/kernels/k && test ! -e $F/kernels/.k.new");
    (void) snprintf(path, sizeof path, "%s/kernels/.other.new", folder);
    int other = open(path, O_RDONLY | O_CLOEXEC);
    cr_assert_eq(flock(other, LOCK_EX), 0);
    package_keep(&paths, "other", fd);
    shell("test ! -e $F/kernels/other && test -e $F/kernels/.other.new");
    cr_assert_eq(close(other), 0);
    package_keep(&paths, "other", fd);
    shell("cmp $F/package $F/kernels/other && test \"$(ls -A $F/kernels | wc -l)\" = 2");
}
