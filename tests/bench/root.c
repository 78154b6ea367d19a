/* A VM's root disk as the engine makes it on btrfs and xfs (unpriv/vm/disks.c): a clone of the image.
 *
 *   root FROM TO      TO is made anew */
#include <err.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>

int main(int argc, char **argv) {
    int from = argc == 3 ? open(argv[1], O_RDONLY) : -1;
    int to = argc == 3 ? open(argv[2], O_RDWR | O_CREAT | O_TRUNC, 0600) : -1;
    if (from < 0 || to < 0 || ioctl(to, FICLONE, from))
        err(1, "root FROM TO");
    return 0;
}
