#pragma once

#include <optional>
#include <string>
#include <vector>

#include "common/core/bytes.h"

namespace slipway::agent {

/// The bytes of an append-only journal of key and value. docs/agent.md describes them:
///
///     file:  "SLWYJRNL", u32 version = 1, then entries
///     entry: u32 mark, u32 length, u32 CRC-32C of length and body, body
///     body:  u8 length of key, key, value
///
/// The mark lets a reader find an entry behind bytes that are damaged: it tells a write that a
/// crash cut off, which is normal, from a disk that changed what was written, which is not.
struct JournalEntry {
    std::string key; ///< 1 to 255 bytes.
    std::string value;
    bool operator==(const JournalEntry&) const = default;
};
inline constexpr std::size_t journal_value_bytes_max = std::size_t{512} * 1024;
inline constexpr std::size_t journal_bytes_max = std::size_t{64} * 1024 * 1024;
inline constexpr std::size_t journal_header_bytes = 12;

/// CRC-32C (Castagnoli), RFC 3720 appendix B.4. `seed` continues an earlier sum.
[[nodiscard]] std::uint32_t crc32c(ByteSpan bytes, std::uint32_t seed = 0);

[[nodiscard]] Bytes journal_header();
/// Key and value must keep to their bounds.
void append_journal_entry(Bytes& out, const JournalEntry& entry);

enum class JournalEnd {
    whole,   ///< Every byte is of an entry.
    torn,    ///< The last write did not finish; what is before it counts.
    corrupt, ///< Entries follow bytes that are none, or the header is not one: a disk's fault.
    unknown_version, ///< Written by a newer program: nothing was read.
};
struct JournalContent {
    std::vector<JournalEntry> entries; ///< Up to the first damage.
    std::size_t good_bytes = 0;        ///< Where it is.
    JournalEnd end = JournalEnd::whole;
};
/// Reads bytes that nobody vouches for; never fails, and tells how the journal ends.
[[nodiscard]] JournalContent read_journal(ByteSpan bytes);

} // namespace slipway::agent
