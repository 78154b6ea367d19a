#include "superblock.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

/* Offsets and bits: the kernel's Documentation/filesystems/ext4/super.rst. */
enum {
    BLOCKS = 0x04,
    BLOCK_LOG = 0x18,
    GROUP_BLOCKS = 0x20,
    GROUP_INODES = 0x28,
    MAGIC = 0x38,
    STATE = 0x3a,
    REVISION = 0x4c,
    INODE_BYTES = 0x58,
    INCOMPAT = 0x60,
    BLOCKS_HIGH = 0x150,
};
#define EXT4_MAGIC      0xef53u
#define STATE_CLEAN     1u
#define STATE_ERRORS    2u
#define NEEDS_RECOVERY  0x4u
#define HAS_64BIT       0x80u
#define KNOWN           0x3e7d6u /* file type, recovery, meta_bg, extents, 64 bit, mmp ... casefold */
#define INODE_BYTES_OLD 128u     /* of revision 0, which does not say */
#define BLOCK_LOG_MOST  2u       /* blocks of 4 KiB: larger than a page cannot be mounted */

static uint32_t word(const uint8_t *at) {
    return (uint32_t) at[0] | (uint32_t) at[1] << 8 | (uint32_t) at[2] << 16 | (uint32_t) at[3] << 24;
}

static uint32_t half(const uint8_t *at) {
    return word(at) & 0xffff;
}

static int fits(const uint8_t *block, uint64_t size) {
    const uint32_t log = word(block + BLOCK_LOG), per_group = word(block + GROUP_BLOCKS);
    const uint32_t inodes = word(block + GROUP_INODES);
    const uint32_t inode = word(block + REVISION) ? half(block + INODE_BYTES) : INODE_BYTES_OLD;
    if (log > BLOCK_LOG_MOST)
        return 0;
    const uint64_t bytes = 1024u << log;
    const uint64_t high = word(block + INCOMPAT) & HAS_64BIT ? word(block + BLOCKS_HIGH) : 0;
    const uint64_t blocks = high << 32 | word(block + BLOCKS);
    return blocks > 0 && blocks <= size / bytes && per_group > 0 && per_group <= 8 * bytes && inodes > 0 &&
           inodes <= 8 * bytes && inode >= INODE_BYTES_OLD && inode <= bytes && (inode & (inode - 1)) == 0;
}

int superblock_check(const uint8_t block[SUPERBLOCK_SIZE], uint64_t size, struct err *e) {
    if (half(block + MAGIC) != EXT4_MAGIC)
        return err_set(e, EINVAL, "it is no ext4 file system: give one, without a partition table");
    const uint32_t features = word(block + INCOMPAT), state = half(block + STATE);
    if (features & ~KNOWN)
        return err_set(e, EINVAL, "it has features that no Linux can mount (%#x): make it again with mke2fs",
                       features & ~KNOWN);
    if (!fits(block, size))
        return err_set(e, EINVAL, "its superblock does not fit the file: it is cut short or damaged; make it again");
    if ((features & NEEDS_RECOVERY) || !(state & STATE_CLEAN) || (state & STATE_ERRORS))
        return err_set(e, EINVAL,
                       "it is mounted, or was not unmounted cleanly: unmount it, then run `e2fsck -f` on it");
    return 0;
}

int superblock_check_file(int fd, struct err *e) {
    uint8_t block[SUPERBLOCK_SIZE];
    struct stat st;
    if (fstat(fd, &st) || !S_ISREG(st.st_mode))
        return err_set(e, EINVAL, "it is no regular file: give one that holds an ext4 file system");
    ssize_t n = pread(fd, block, sizeof(block), SUPERBLOCK_OFFSET);
    if (n < 0)
        return err_sys(e, errno, "it cannot be read");
    if (n != (ssize_t) sizeof(block))
        return err_set(e, EINVAL, "it is no ext4 file system: it is too short for one");
    return superblock_check(block, (uint64_t) st.st_size, e);
}
