/* The image's file for libext2fs. Its own manager for descriptors (unix_io.c) syncs the file when it opens it, which
 * here means waiting for the disk to take the whole content, and keeps a cache that would write stale blocks over ours.
 */
#include "ext4.h"

#include <errno.h>
#include <ext2fs/ext2fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct file {
    struct struct_io_channel channel;
    int fd;
};

static int fd_of(io_channel channel) {
    const struct file *file = channel->private_data;
    return file->fd;
}

static errcode_t open_file(const char *name, int flags, io_channel *out) {
    struct file *file = calloc(1, sizeof(*file));
    if (!file)
        return EXT2_ET_NO_MEMORY;
    file->fd = (int) strtol(name, NULL, 10);
    file->channel = (struct struct_io_channel){
        .magic = EXT2_ET_MAGIC_IO_CHANNEL,
        .manager = ext4_io_manager(),
        .name = strdup(name),
        .block_size = 1024,
        .refcount = 1,
        .private_data = file,
    };
    (void) flags;
    if (!file->channel.name) {
        free(file);
        return EXT2_ET_NO_MEMORY;
    }
    *out = &file->channel;
    return 0;
}

static errcode_t close_file(io_channel channel) {
    if (--channel->refcount > 0)
        return 0;
    free(channel->name);
    free(channel->private_data);
    return 0;
}

static errcode_t set_block_size(io_channel channel, int size) {
    channel->block_size = size;
    return 0;
}

/* A negative count is one of bytes. */
static size_t bytes_of(io_channel channel, int count) {
    return count < 0 ? (size_t) -count : (size_t) count * (size_t) channel->block_size;
}

static errcode_t read_blocks(io_channel channel, unsigned long long block, int count, void *data) {
    size_t size = bytes_of(channel, count), done = 0;
    const off_t from = (off_t) block * channel->block_size;
    while (done < size) {
        ssize_t n = pread(fd_of(channel), (char *) data + done, size - done, from + (off_t) done);
        if (n < 0 && errno != EINTR)
            return errno;
        if (n == 0)
            return EXT2_ET_SHORT_READ;
        done += n > 0 ? (size_t) n : 0;
    }
    return 0;
}

static errcode_t write_blocks(io_channel channel, unsigned long long block, int count, const void *data) {
    const uint64_t to = block * (unsigned) channel->block_size;
    return -volume_pwrite(fd_of(channel), data, bytes_of(channel, count), to, NULL);
}

static errcode_t read_old(io_channel channel, unsigned long block, int count, void *data) {
    return read_blocks(channel, block, count, data);
}

static errcode_t write_old(io_channel channel, unsigned long block, int count, const void *data) {
    return write_blocks(channel, block, count, data);
}

/* Whoever started the import syncs it, once. */
static errcode_t flush(io_channel channel) {
    (void) channel;
    return 0;
}

struct struct_io_manager *ext4_io_manager(void) {
    static struct struct_io_manager manager = {
        .magic = EXT2_ET_MAGIC_IO_MANAGER,
        .name = "the image's file",
        .open = open_file,
        .close = close_file,
        .set_blksize = set_block_size,
        .read_blk = read_old,
        .write_blk = write_old,
        .flush = flush,
        .read_blk64 = read_blocks,
        .write_blk64 = write_blocks,
    };
    return &manager;
}
