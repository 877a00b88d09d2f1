#include "common/delta/elf_layout.h"

#include <cstring>

#include <elf.h>

#include "common/delta/relocate.h"

namespace slipway {
namespace {

template <typename Record>
std::optional<Record> record_at(ByteSpan file, std::uint64_t offset) {
    Record record{};
    if (offset > file.size() || file.size() - offset < sizeof record) {
        return std::nullopt;
    }
    std::memcpy(&record, file.data() + offset, sizeof record);
    return record;
}

/// False when the header contradicts the file.
bool add_segment(ElfLayout& layout, const Elf64_Phdr& header, ByteSpan file) {
    if (header.p_type == PT_GNU_EH_FRAME) {
        layout.anchors.push_back(header.p_vaddr);
    }
    if (header.p_type != PT_LOAD || header.p_filesz == 0) {
        return true;
    }
    if (header.p_offset > file.size() || file.size() - header.p_offset < header.p_filesz ||
        header.p_memsz < header.p_filesz || header.p_memsz > (1ULL << 40U)) {
        return false;
    }
    layout.segments.push_back({header.p_offset, header.p_filesz, header.p_vaddr, header.p_memsz});
    layout.executable.push_back((header.p_flags & PF_X) != 0);
    if (layout.executable.back()) {
        layout.anchors.push_back(header.p_vaddr);
    }
    return layout.segments.size() <= segments_max;
}

/// Tables of Go and of switch statements count from the beginning of the code.
void add_section_anchors(ElfLayout& layout, const Elf64_Ehdr& header, ByteSpan file) {
    for (unsigned i = 0; i < header.e_shnum && layout.anchors.size() < anchors_max; ++i) {
        const auto section =
            record_at<Elf64_Shdr>(file, header.e_shoff + std::uint64_t{i} * sizeof(Elf64_Shdr));
        if (section && section->sh_type == SHT_PROGBITS &&
            (section->sh_flags & SHF_EXECINSTR) != 0) {
            layout.anchors.push_back(section->sh_addr);
        }
    }
}

} // namespace

std::optional<ElfLayout> elf_layout(ByteSpan file) {
    const auto header = record_at<Elf64_Ehdr>(file, 0);
    if (!header || std::memcmp(header->e_ident, ELFMAG, SELFMAG) != 0 ||
        header->e_ident[EI_CLASS] != ELFCLASS64 || header->e_ident[EI_DATA] != ELFDATA2LSB ||
        header->e_machine != EM_X86_64 || header->e_phentsize != sizeof(Elf64_Phdr)) {
        return std::nullopt;
    }
    ElfLayout layout;
    for (unsigned i = 0; i < header->e_phnum; ++i) {
        const auto segment =
            record_at<Elf64_Phdr>(file, header->e_phoff + std::uint64_t{i} * sizeof(Elf64_Phdr));
        if (!segment || !add_segment(layout, *segment, file)) {
            return std::nullopt;
        }
    }
    add_section_anchors(layout, *header, file);
    return layout;
}

} // namespace slipway
