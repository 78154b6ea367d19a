#include "kernel.h"

#include <elf.h>
#include <string.h>

#define LOAD_END (1ull << 32) /* a PVH entry runs with 32-bit addresses */
#define PVH_NOTE 18u          /* XEN_ELFNOTE_PHYS32_ENTRY, xen/interface/elfnote.h */

/* A piece of a file, NULL when it is not inside. */
static const uint8_t *piece(const uint8_t *data, size_t size, uint64_t offset, uint64_t length) {
    return offset <= size && length <= size - offset ? data + offset : NULL;
}

static const char *machine_name(unsigned machine) {
    static const struct {
        unsigned machine;
        const char *name;
    } names[] = {{EM_386, "32-bit x86"}, {EM_AARCH64, "ARM64"}, {EM_ARM, "ARM"},   {EM_RISCV, "RISC-V"},
                 {EM_PPC64, "POWER"},    {EM_S390, "IBM Z"},    {EM_MIPS, "MIPS"}, {258, "LoongArch"}};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (names[i].machine == machine)
            return names[i].name;
    return NULL;
}

static int header_take(const uint8_t *data, size_t size, Elf64_Ehdr *header) {
    if (size < sizeof *header)
        return 0;
    memcpy(header, data, sizeof *header);
    return memcmp(header->e_ident, ELFMAG, SELFMAG) == 0 && header->e_ident[EI_CLASS] == ELFCLASS64 &&
           header->e_ident[EI_DATA] == ELFDATA2LSB && header->e_machine == EM_X86_64;
}

/* Where e_machine is the same for 32 and 64 bits. */
static unsigned machine_of(const uint8_t *data, size_t size) {
    if (size >= 20 && memcmp(data, ELFMAG, SELFMAG) == 0) {
        unsigned low = data[18], high = data[19];
        return data[EI_DATA] == ELFDATA2MSB ? high | low << 8 : low | high << 8;
    }
    /* Images of other architectures that are no ELF: Documentation/arm64/booting.rst, arch/riscv/boot-image-header.rst
     */
    if (size >= 64 && memcmp(data + 56, "ARM\x64", 4) == 0)
        return EM_AARCH64;
    return size >= 64 && memcmp(data + 56, "RSC\x05", 4) == 0 ? EM_RISCV : EM_NONE;
}

const char *kernel_elf_foreign(const uint8_t *data, size_t size) {
    return machine_name(machine_of(data, size));
}

/* Number `i`, which is inside: kernel_elf_is_vmlinux looked. */
static Elf64_Phdr segment_at(const uint8_t *data, const Elf64_Ehdr *header, unsigned i) {
    Elf64_Phdr segment;
    memcpy(&segment, data + header->e_phoff + (uint64_t) i * sizeof segment, sizeof segment);
    return segment;
}

int kernel_elf_is_vmlinux(const uint8_t *data, size_t size) {
    Elf64_Ehdr header;
    return header_take(data, size, &header) && header.e_type == ET_EXEC && header.e_phnum > 0 &&
           header.e_phentsize == sizeof(Elf64_Phdr) &&
           piece(data, size, header.e_phoff, (uint64_t) header.e_phnum * sizeof(Elf64_Phdr));
}

int kernel_elf_can_load(const uint8_t *data, size_t size) {
    Elf64_Ehdr header;
    unsigned count = 0;
    if (!kernel_elf_is_vmlinux(data, size) || !header_take(data, size, &header))
        return 0;
    for (unsigned i = 0; i < header.e_phnum; i++) {
        const Elf64_Phdr segment = segment_at(data, &header, i);
        if (segment.p_type != PT_LOAD)
            continue;
        count++;
        if (!piece(data, size, segment.p_offset, segment.p_filesz) || segment.p_filesz > segment.p_memsz ||
            segment.p_paddr >= LOAD_END || segment.p_memsz > LOAD_END - segment.p_paddr)
            return 0;
    }
    return count > 0;
}

static uint64_t padded(uint32_t size) {
    return ((uint64_t) size + 3) & ~(uint64_t) 3;
}

static int notes_have_pvh(const uint8_t *notes, uint64_t size) {
    Elf64_Nhdr note;
    while (size >= sizeof note) {
        memcpy(&note, notes, sizeof note);
        uint64_t whole = sizeof note + padded(note.n_namesz) + padded(note.n_descsz);
        if (whole > size)
            return 0;
        if (note.n_type == PVH_NOTE && note.n_namesz == 4 && memcmp(notes + sizeof note, "Xen", 4) == 0)
            return 1;
        notes += whole;
        size -= whole;
    }
    return 0;
}

int kernel_elf_has_pvh(const uint8_t *data, size_t size) {
    Elf64_Ehdr header;
    if (!kernel_elf_is_vmlinux(data, size) || !header_take(data, size, &header))
        return 0;
    for (unsigned i = 0; i < header.e_phnum; i++) {
        const Elf64_Phdr segment = segment_at(data, &header, i);
        const uint8_t *notes = segment.p_type == PT_NOTE ? piece(data, size, segment.p_offset, segment.p_filesz) : NULL;
        if (notes && notes_have_pvh(notes, segment.p_filesz))
            return 1;
    }
    return 0;
}

/* Section number `i`; 0 when it is not inside the file. */
static int section_take(const uint8_t *data, size_t size, const Elf64_Ehdr *header, unsigned i, Elf64_Shdr *out) {
    const uint8_t *table =
        piece(data, size, header->e_shoff, (uint64_t) header->e_shnum * sizeof *out); /* no overflow: 16 bits each */
    if (!table || header->e_shentsize != sizeof *out || i >= header->e_shnum)
        return 0;
    memcpy(out, table + (size_t) i * sizeof *out, sizeof *out);
    return out->sh_type != SHT_NOBITS && piece(data, size, out->sh_offset, out->sh_size) != NULL;
}

/* A section by name, NULL when there is none. */
static const uint8_t *section_find(const uint8_t *data, size_t size, const char *name, uint64_t *length) {
    Elf64_Ehdr header;
    Elf64_Shdr names, section;
    size_t wanted = strlen(name) + 1;
    if (!header_take(data, size, &header) || !section_take(data, size, &header, header.e_shstrndx, &names))
        return NULL;
    for (unsigned i = 0; i < header.e_shnum; i++) {
        if (!section_take(data, size, &header, i, &section) || section.sh_name > names.sh_size ||
            names.sh_size - section.sh_name < wanted ||
            memcmp(data + names.sh_offset + section.sh_name, name, wanted) != 0)
            continue;
        *length = section.sh_size;
        return data + section.sh_offset;
    }
    return NULL;
}

const char *kernel_elf_modinfo(const uint8_t *data, size_t size, const char *name) {
    uint64_t left = 0;
    size_t prefix = strlen(name);
    const uint8_t *at = section_find(data, size, ".modinfo", &left);
    while (at && left) {
        const uint8_t *stop = memchr(at, 0, left);
        if (!stop)
            return NULL;
        if ((size_t) (stop - at) > prefix && memcmp(at, name, prefix) == 0 && at[prefix] == '=')
            return (const char *) at + prefix + 1;
        left -= (uint64_t) (stop - at) + 1;
        at = stop + 1;
    }
    return NULL;
}
