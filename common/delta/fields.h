#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>

#include "common/core/bytes.h"
#include "common/delta/relocate.h"

/// How fields with addresses are found and read (docs/format-sdiff.md, "Fields"). Templates,
/// because they run over every byte of a program.
namespace slipway::fields {

static_assert(std::endian::native == std::endian::little, "fields are read as they stand");

template <typename Word>
Word load(const std::uint8_t* from) {
    Word word = 0;
    std::memcpy(&word, from, sizeof word);
    return word;
}

template <typename Word>
void store(std::uint8_t* to, Word word) {
    std::memcpy(to, &word, sizeof word);
}

/// True if a displacement may follow: E8 and E9 are calls and jumps, 0F 8x a conditional jump, and
/// xx000101 a ModRM byte that says "relative to the instruction pointer".
constexpr bool may_precede(std::uint8_t byte) {
    return byte == 0xE8 || byte == 0xE9 || byte == 0x0F || (byte & 0xC7U) == 0x05;
}

inline constexpr std::size_t lanes = 64;

/// Bit i: may_precede(bytes[i]). Written so that the compiler makes vector instructions of it.
inline std::uint64_t candidates(const std::uint8_t* bytes) {
    std::array<std::uint8_t, lanes> flags;
    for (std::size_t i = 0; i < lanes; ++i) {
        flags[i] = static_cast<std::uint8_t>(may_precede(bytes[i]));
    }
    std::uint64_t mask = 0;
    for (std::size_t i = 0; i < lanes; i += 8) {
        // Each flag is 0 or 1: the product gathers eight of them in the top byte.
        constexpr std::uint64_t gather = 0x0102040810204080ULL;
        mask |= ((load<std::uint64_t>(&flags[i]) * gather) >> 56U) << i;
    }
    return mask;
}

inline constexpr std::uint8_t no_operand = 0xFF;

/// Bytes of immediate operand behind the displacement, by opcode; no_operand: has no ModRM byte.
inline constexpr std::array<std::uint8_t, 256> tails = [] {
    std::array<std::uint8_t, 256> table{};
    table.fill(no_operand);
    for (unsigned group = 0; group < 8; ++group) { // add, or, adc, sbb, and, sub, xor, cmp
        for (unsigned form = 0; form < 4; ++form) {
            table[8 * group + form] = 0;
        }
    }
    for (const unsigned opcode :
         {0x63U, 0x84U, 0x85U, 0x86U, 0x87U, 0x88U, 0x89U, 0x8AU, 0x8BU, 0x8DU, 0xFEU, 0xFFU}) {
        table[opcode] = 0;
    }
    for (const unsigned opcode : {0x6BU, 0x80U, 0x83U, 0xC0U, 0xC1U, 0xC6U, 0xF6U}) {
        table[opcode] = 1;
    }
    for (const unsigned opcode : {0x69U, 0x81U, 0xC7U, 0xF7U}) {
        table[opcode] = 4;
    }
    return table;
}();

inline constexpr std::array<std::uint8_t, 256> escaped_tails = [] {
    std::array<std::uint8_t, 256> table{};
    for (const unsigned opcode : {0x70U, 0xA4U, 0xACU, 0xBAU, 0xC2U, 0xC4U, 0xC5U, 0xC6U}) {
        table[opcode] = 1;
    }
    return table;
}();

/// Tail of the instruction whose ModRM byte is `code[modrm]`, or no_operand.
inline unsigned tail_of(ByteSpan code, std::size_t modrm) {
    if (modrm == 0) {
        return no_operand;
    }
    const auto opcode = code[modrm - 1];
    if (modrm >= 2 && code[modrm - 2] == 0x0F) {
        return escaped_tails[opcode];
    }
    if ((modrm >= 3 && code[modrm - 3] == 0xC5) || (modrm >= 4 && code[modrm - 4] == 0xC4)) {
        return 0; // VEX prefixes.
    }
    const unsigned group = (code[modrm] >> 3U) & 7U;
    if ((opcode == 0xF6 || opcode == 0xF7) && group > 1) {
        return 0; // Only "test" has an immediate operand.
    }
    if (opcode == 0xC7 && modrm >= 2 && code[modrm - 2] == 0x66) {
        return 2;
    }
    return tails[opcode];
}

inline std::uint64_t sign_extended(std::uint32_t value) {
    return static_cast<std::uint64_t>(std::int64_t{static_cast<std::int32_t>(value)});
}

/// Calls `found(field, tail)` for each place of `code` that looks like the 32-bit displacement of
/// an x86-64 instruction; `field` is its offset, `tail` the bytes of the instruction behind it.
/// `found` says whether it takes the place for a displacement; then the search goes on behind it.
template <typename Found>
void find_displacements(ByteSpan code, Found found) {
    const auto last = std::max<std::size_t>(code.size(), 4) - 4; // Where the last field may begin.
    std::size_t next = 0; // What lies before it was looked at, or belongs to a field.
    for (std::size_t block = 0; block < last; block += lanes) {
        std::array<std::uint8_t, lanes> tail_block{};
        const auto* bytes = code.data() + block;
        if (code.size() - block < lanes) {
            std::copy(code.begin() + static_cast<std::ptrdiff_t>(block), code.end(),
                      tail_block.begin());
            bytes = tail_block.data();
        }
        for (auto mask = candidates(bytes); mask != 0; mask &= mask - 1) {
            const auto i = block + static_cast<std::size_t>(std::countr_zero(mask));
            if (i < next || i >= last) {
                continue;
            }
            auto field = i + 1;
            unsigned tail = 0;
            if (code[i] == 0x0F) {
                field = (code[i + 1] & 0xF0U) == 0x80 ? i + 2 : last + 1;
            } else if ((code[i] & 0xC7U) == 0x05) {
                tail = tail_of(code, i);
            }
            if (tail != no_operand && field <= last && found(field, tail)) {
                next = field + 4;
            }
        }
    }
}

/// Where a piece of a program stands.
struct Place {
    std::uint64_t base_offset = 0;
    std::optional<std::uint64_t> base_address;
    std::optional<std::uint64_t> new_address;
};

/// A field that may hold an address.
struct Field {
    std::size_t offset = 0;   ///< In the piece.
    std::size_t bytes = 0;    ///< 4 or 8.
    std::uint64_t target = 0; ///< The address in the base's program that it means.
    std::uint64_t origin = 0; ///< What its new value is counted from.
};

template <typename Word, typename Visit>
void each_word(ByteSpan piece, std::uint64_t base_offset, Visit visit) {
    const auto skipped = (sizeof(Word) - base_offset % sizeof(Word)) % sizeof(Word);
    for (std::size_t i = skipped; i + sizeof(Word) <= piece.size(); i += sizeof(Word)) {
        if (const auto word = load<Word>(piece.data() + i); word != 0) {
            visit(i, word);
        }
    }
}

/// Calls `visit` for each field of the kind `kind` in `piece`. `visit` says whether the address
/// exists; it may rewrite the field.
template <typename Visit>
void each_field(ByteSpan piece, const Place& place, std::uint8_t kind,
                std::span<const Anchor> anchors, Visit visit) {
    const bool needs_address = kind == static_cast<std::uint8_t>(FieldKind::x86_code) ||
                               kind == static_cast<std::uint8_t>(FieldKind::self_relative);
    if (kind == 0 || (needs_address && (!place.base_address || !place.new_address))) {
        return;
    }
    const auto from = place.base_address.value_or(0);
    const auto to = place.new_address.value_or(0);
    if (kind == static_cast<std::uint8_t>(FieldKind::x86_code)) {
        find_displacements(piece, [&](std::size_t field, unsigned tail) {
            const auto behind = field + 4 + tail;
            const auto distance = sign_extended(load<std::uint32_t>(piece.data() + field));
            return visit(Field{field, 4, from + behind + distance, to + behind});
        });
    } else if (kind == static_cast<std::uint8_t>(FieldKind::absolute_64)) {
        each_word<std::uint64_t>(piece, place.base_offset, [&](std::size_t i, std::uint64_t word) {
            visit(Field{i, 8, word, 0});
        });
    } else if (kind == static_cast<std::uint8_t>(FieldKind::self_relative)) {
        each_word<std::uint32_t>(piece, place.base_offset, [&](std::size_t i, std::uint32_t word) {
            visit(Field{i, 4, from + i + sign_extended(word), to + i});
        });
    } else {
        const auto& anchor = anchors[kind - static_cast<std::uint8_t>(FieldKind::anchored)];
        each_word<std::uint32_t>(piece, place.base_offset, [&](std::size_t i, std::uint32_t word) {
            visit(Field{i, 4, anchor.base + sign_extended(word), anchor.now});
        });
    }
}

} // namespace slipway::fields
