/* How many blocks an ext4 may grow to on a disk that is larger than it. */
#include "../../guest/agent/agent.h"

#include <criterion/criterion.h>
#include <string.h>

/* A superblock of so many blocks of 1024 << shift bytes. */
static uint64_t room(uint64_t blocks, uint32_t shift, int wide, uint64_t bytes) {
    uint8_t super[1024] = {0};
    uint32_t low = (uint32_t) blocks, high = (uint32_t) (blocks >> 32), features = wide ? 0x80 : 0x40;
    memcpy(super + 0x4, &low, 4);
    memcpy(super + 0x18, &shift, 4);
    memcpy(super + 0x38, "\x53\xef", 2);
    memcpy(super + 0x60, &features, 4);
    memcpy(super + 0x150, &high, 4);
    return agent_ext4_room(super, bytes);
}

Test(agent_grow, a_larger_disk_has_room) {
    cr_assert_eq(room(2097152, 2, 1, 20ull << 30), 5242880u);
    cr_assert_eq(room(8192, 0, 0, 16 << 20), 16384u);
    cr_assert_eq(room(2097152, 2, 1, (8ull << 30) + 4096), 2097153u);
}

Test(agent_grow, what_fits_stays) {
    cr_assert_eq(room(2097152, 2, 1, 8ull << 30), 0u);
    cr_assert_eq(room(2097152, 2, 1, (8ull << 30) + 4095), 0u, "a part of a block is none");
    cr_assert_eq(room(2097152, 2, 1, 4ull << 30), 0u, "a disk that is too small is not for us to mend");
}

Test(agent_grow, the_upper_half_counts_with_64_bits_only) {
    cr_assert_eq(room(1ull << 33, 2, 1, 1ull << 40), 0u);
    cr_assert_eq(room(1ull << 33 | 5, 2, 0, 1ull << 40), 1ull << 28);
}

Test(agent_grow, anything_else_is_left_alone) {
    uint8_t super[1024] = {0};
    cr_assert_eq(agent_ext4_room(super, 1ull << 40), 0u);
    cr_assert_eq(room(8192, 7, 1, 1ull << 40), 0u, "blocks of more than 64 KiB");
    cr_assert_eq(room(8192, 0xffffffffu, 1, 1ull << 40), 0u);
}
