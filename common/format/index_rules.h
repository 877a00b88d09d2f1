#pragma once

#include <array>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <unordered_map>

#include "common/format/index.h"

namespace slipway {

/// What makes a sequence of entries a well-formed index; one object for writer and reader, so that
/// neither accepts what the other refuses. Knows nothing of bytes.
class IndexRules {
public:
    using Broken = std::optional<std::string>; ///< The rule that was broken, or nothing.

    /// Checks the next entry against the limits and against the entries before it.
    [[nodiscard]] Broken check(const IndexEntry& entry);
    /// Checks what only the whole index shows.
    [[nodiscard]] Broken finish() const;
    [[nodiscard]] const std::string& last_path() const { return last_path_; }
    [[nodiscard]] const IndexSummary& summary() const { return summary_; }

private:
    using PathKey = std::array<std::uint8_t, 16>;
    struct PathKeyHash {
        std::size_t operator()(const PathKey& key) const noexcept {
            std::size_t value = 0;
            std::memcpy(&value, key.data(), sizeof value);
            return value;
        }
    };
    [[nodiscard]] static PathKey key_of(const std::string& path);
    [[nodiscard]] Broken check_place(const std::string& path) const;
    [[nodiscard]] Broken check_file(const IndexEntry& entry);
    [[nodiscard]] Broken check_hard_link(const IndexEntry& entry);

    std::string last_path_;
    /// The deepest directory entry that the last entry is, or is in. A parent must be this one or
    /// one above it: with entries in order no other directory can still receive names.
    std::string open_directory_;
    /// Files marked `linked`, by digest of their path; true once a hard link named it.
    std::unordered_map<PathKey, bool, PathKeyHash> linked_;
    std::uint64_t links_missing_ = 0;
    IndexSummary summary_;
};

} // namespace slipway
