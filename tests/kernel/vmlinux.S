/* A small "vmlinux": what a reader looks for, and enough machine code (PAYLOAD) to be worth packing.
 * gcc -nostdlib -static -no-pie -Wl,-Ttext=0x1000000,--build-id=none -DPAYLOAD='"file"' */
    .section .note.Xen, "a", @note
    .long 4, 8, 18 /* XEN_ELFNOTE_PHYS32_ENTRY */
    .asciz "Xen"
    .quad _start

    .text
    .globl _start
_start:
    hlt
    jmp _start
    .incbin PAYLOAD

    .section .rodata
    .ascii "Linux version 6.1.0-small (somebody)\n\0"
    .ascii "virtio\0virtio-mmio\0virtio_blk\0virtio_net\0virtio_console\0ext4\0"

    .section .note.GNU-stack, "", @progbits
