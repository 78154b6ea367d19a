/* The smallest guest: a kernel that QEMU starts by its PVH note and that sleeps for ever. */
    .section .note.pvh, "a", @note
    .long 4, 4, 18          /* name's size, value's size, XEN_ELFNOTE_PHYS32_ENTRY */
    .asciz "Xen"
    .long start
    .text
    .globl start
    .code32
start:
    cli
1:  hlt
    jmp 1b
    .section .note.GNU-stack, "", @progbits
