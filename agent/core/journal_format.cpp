#include "agent/core/journal_format.h"

#include <algorithm>
#include <array>
#include <cassert>

namespace slipway::agent {
namespace {

constexpr std::string_view magic = "SLWYJRNL";
constexpr std::uint32_t version = 1;
constexpr std::uint32_t mark = 0xe57a'4c9dU;
constexpr std::size_t entry_header_bytes = 12;
constexpr std::size_t body_bytes_max = 1 + 255 + journal_value_bytes_max;

constexpr std::array<std::uint32_t, 256> crc_table = [] {
    std::array<std::uint32_t, 256> table{};
    for (std::uint32_t i = 0; i < table.size(); ++i) {
        auto value = i;
        for (int bit = 0; bit < 8; ++bit) {
            value = (value >> 1) ^ ((value & 1U) != 0 ? 0x82f6'3b78U : 0U);
        }
        table[i] = value;
    }
    return table;
}();

std::uint32_t u32_at(ByteSpan bytes, std::size_t at) {
    return std::uint32_t{bytes[at]} | std::uint32_t{bytes[at + 1]} << 8 |
           std::uint32_t{bytes[at + 2]} << 16 | std::uint32_t{bytes[at + 3]} << 24;
}

// The whole and right entry that begins at `at`, and where it ends.
std::optional<std::pair<JournalEntry, std::size_t>> entry_at(ByteSpan bytes, std::size_t at) {
    if (bytes.size() - at < entry_header_bytes || u32_at(bytes, at) != mark) {
        return std::nullopt;
    }
    const std::size_t length = u32_at(bytes, at + 4);
    if (length < 2 || length > body_bytes_max || length > bytes.size() - at - entry_header_bytes) {
        return std::nullopt;
    }
    const auto body = bytes.subspan(at + entry_header_bytes, length);
    if (crc32c(body, crc32c(bytes.subspan(at + 4, 4))) != u32_at(bytes, at + 8)) {
        return std::nullopt;
    }
    const std::size_t key_bytes = body[0];
    if (key_bytes == 0 || key_bytes > length - 1) {
        return std::nullopt;
    }
    return std::pair(JournalEntry{std::string(as_text(body.subspan(1, key_bytes))),
                                  std::string(as_text(body.subspan(1 + key_bytes)))},
                     at + entry_header_bytes + length);
}

bool has_entry_after(ByteSpan bytes, std::size_t at) {
    for (++at; at + entry_header_bytes <= bytes.size(); ++at) {
        if (entry_at(bytes, at)) {
            return true;
        }
    }
    return false;
}

} // namespace

std::uint32_t crc32c(ByteSpan bytes, std::uint32_t seed) {
    auto value = ~seed;
    for (const auto byte : bytes) {
        value = crc_table[(value ^ byte) & 0xffU] ^ (value >> 8);
    }
    return ~value;
}

Bytes journal_header() {
    Bytes out;
    ByteWriter writer(out);
    writer.raw(as_bytes(magic));
    writer.u32(version);
    return out;
}

void append_journal_entry(Bytes& out, const JournalEntry& entry) {
    assert(!entry.key.empty() && entry.key.size() <= 255);
    assert(entry.value.size() <= journal_value_bytes_max);
    Bytes length;
    ByteWriter(length).u32(static_cast<std::uint32_t>(1 + entry.key.size() + entry.value.size()));
    Bytes body;
    ByteWriter body_writer(body);
    body_writer.u8(static_cast<std::uint8_t>(entry.key.size()));
    body_writer.raw(as_bytes(entry.key));
    body_writer.raw(as_bytes(entry.value));
    ByteWriter writer(out);
    writer.u32(mark);
    writer.raw(length);
    writer.u32(crc32c(body, crc32c(length)));
    writer.raw(body);
}

JournalContent read_journal(ByteSpan bytes) {
    JournalContent content;
    const auto header = journal_header();
    if (bytes.size() < header.size()) {
        // A journal is born by one rename, whole; only an empty one is no fault.
        content.end = bytes.empty() ? JournalEnd::whole : JournalEnd::corrupt;
        return content;
    }
    if (!std::ranges::equal(bytes.first(header.size()), header)) {
        const bool is_journal = as_text(bytes.first(magic.size())) == magic;
        content.end = is_journal && u32_at(bytes, magic.size()) > version
                          ? JournalEnd::unknown_version
                          : JournalEnd::corrupt;
        return content;
    }
    content.good_bytes = header.size();
    while (content.good_bytes < bytes.size()) {
        auto entry = entry_at(bytes, content.good_bytes);
        if (!entry) {
            content.end =
                has_entry_after(bytes, content.good_bytes) ? JournalEnd::corrupt : JournalEnd::torn;
            break;
        }
        content.entries.push_back(std::move(entry->first));
        content.good_bytes = entry->second;
    }
    return content;
}

} // namespace slipway::agent
