/* The classic-BPF machine behind `banger doctor --privileges`: every kind of instruction that
 * seccomp(2) allows, programs that it does not, and the filters that sandbox.c makes. */
#include "../../unpriv/cli/filters.h"

#include <criterion/criterion.h>
#include <linux/audit.h>
#include <sys/syscall.h>

static const struct seccomp_data call = {
    .nr = 42, .arch = AUDIT_ARCH_X86_64, .instruction_pointer = 0x1122334455667788, .args = {7, 0x100000000}};

#define RUN(...)                                                                                                       \
    filter_run((const struct sock_filter[]){__VA_ARGS__},                                                              \
               sizeof((const struct sock_filter[]){__VA_ARGS__}) / sizeof(struct sock_filter), &call)
#define LD(at)     BPF_STMT(BPF_LD | BPF_W | BPF_ABS, at)
#define IMM(k)     BPF_STMT(BPF_LD | BPF_IMM, k)
#define RET(k)     BPF_STMT(BPF_RET | BPF_K, k)
#define RET_A      BPF_STMT(BPF_RET | BPF_A, 0)
#define ALU(op, k) BPF_STMT(BPF_ALU | (op) | BPF_K, k)
#define ALU_X(op)  BPF_STMT(BPF_ALU | (op) | BPF_X, 0)
#define JMP(op, k) BPF_JUMP(BPF_JMP | (op) | BPF_K, k, 0, 1)
#define JMP_X(op)  BPF_JUMP(BPF_JMP | (op) | BPF_X, 0, 0, 1)

Test(filters, loads) {
    cr_expect_eq(RUN(LD(0), RET_A).action, 42);
    cr_expect_eq(RUN(LD(4), RET_A).action, AUDIT_ARCH_X86_64);
    cr_expect_eq(RUN(LD(8), RET_A).action, 0x55667788);
    cr_expect_eq(RUN(LD(16), RET_A).action, 7);
    cr_expect_eq(RUN(LD(28), RET_A).action, 1, "the high half of the second argument");
    cr_expect_eq(RUN(BPF_STMT(BPF_LD | BPF_W | BPF_LEN, 0), RET_A).action, sizeof(call));
    cr_expect_eq(RUN(IMM(9), BPF_STMT(BPF_ST, 3), IMM(0), BPF_STMT(BPF_LD | BPF_MEM, 3), RET_A).action, 9);
    cr_expect_eq(RUN(BPF_STMT(BPF_LDX | BPF_IMM, 5), BPF_STMT(BPF_STX, 15), BPF_STMT(BPF_LDX | BPF_IMM, 0),
                     BPF_STMT(BPF_LDX | BPF_MEM, 15), BPF_STMT(BPF_MISC | BPF_TXA, 0), RET_A)
                     .action,
                 5);
    cr_expect_eq(RUN(IMM(6), BPF_STMT(BPF_MISC | BPF_TAX, 0), IMM(1), ALU_X(BPF_ADD), RET_A).action, 7);
}

Test(filters, says_when_arguments_count) {
    cr_expect_not(RUN(LD(0), LD(4), RET_A).by_arguments);
    cr_expect(RUN(LD(16), RET(0)).by_arguments);
    cr_expect_not(RUN(LD(0), BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 41, 0, 1), LD(16), RET(0)).by_arguments,
                  "not on the way that this call takes");
}

Test(filters, arithmetic) {
    static const struct {
        int op;
        uint32_t a, k, result;
    } rows[] = {{BPF_ADD, 7, 3, 10}, {BPF_SUB, 7, 3, 4},   {BPF_MUL, 7, 3, 21}, {BPF_DIV, 7, 3, 2},
                {BPF_AND, 7, 3, 3},  {BPF_OR, 4, 3, 7},    {BPF_XOR, 7, 3, 4},  {BPF_LSH, 7, 3, 56},
                {BPF_RSH, 56, 3, 7}, {BPF_NEG, 7, 0, -7u}, {BPF_SUB, 0, 1, ~0u}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        cr_expect_eq(RUN(IMM(rows[i].a), ALU(rows[i].op, rows[i].k), RET_A).action, rows[i].result, "row %zu", i);
}

Test(filters, jumps) {
    static const struct {
        int op;
        uint32_t k;
        int holds;
    } rows[] = {{BPF_JEQ, 5, 1}, {BPF_JEQ, 6, 0}, {BPF_JGT, 4, 1},  {BPF_JGT, 5, 0},
                {BPF_JGE, 5, 1}, {BPF_JGE, 6, 0}, {BPF_JSET, 4, 1}, {BPF_JSET, 2, 0}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        uint32_t by_k = RUN(IMM(5), JMP(rows[i].op, rows[i].k), RET(1), RET(0)).action;
        uint32_t by_x = RUN(BPF_STMT(BPF_LDX | BPF_IMM, rows[i].k), IMM(5), JMP_X(rows[i].op), RET(1), RET(0)).action;
        cr_expect_eq(by_k, (uint32_t) rows[i].holds, "row %zu", i);
        cr_expect_eq(by_x, (uint32_t) rows[i].holds, "row %zu with X", i);
    }
    cr_expect_eq(RUN(BPF_STMT(BPF_JMP | BPF_JA, 1), RET(1), RET(2)).action, 2);
}

/* The kernel takes none of these; here they must not read or write what is not theirs. */
Test(filters, what_the_kernel_refuses_kills) {
    const uint32_t kill = SECCOMP_RET_KILL_PROCESS;
    cr_expect_eq(RUN(LD(sizeof(call)), RET(0)).action, kill);
    cr_expect_eq(RUN(LD(2), RET(0)).action, kill);
    cr_expect_eq(RUN(LD(~0u), RET(0)).action, kill);
    cr_expect_eq(RUN(BPF_STMT(BPF_LD | BPF_B | BPF_IND, 0), RET(0)).action, kill);
    cr_expect_eq(RUN(BPF_STMT(BPF_LDX | BPF_W | BPF_ABS, 0), RET(0)).action, kill);
    cr_expect_eq(RUN(BPF_STMT(BPF_ST, BPF_MEMWORDS), RET(0)).action, kill);
    cr_expect_eq(RUN(BPF_STMT(BPF_LD | BPF_MEM, BPF_MEMWORDS), RET(0)).action, kill);
    cr_expect_eq(RUN(ALU(BPF_DIV, 0), RET(0)).action, kill);
    cr_expect_eq(RUN(ALU(BPF_LSH, 32), RET(0)).action, kill);
    cr_expect_eq(RUN(ALU(BPF_MOD, 3), RET(0)).action, kill);
    cr_expect_eq(RUN(BPF_STMT(BPF_JMP | BPF_JA, ~0u), RET(0)).action, kill);
    cr_expect_eq(RUN(IMM(1)).action, kill, "no return");
    cr_expect_eq(filter_run(NULL, 0, &call).action, kill);
}
