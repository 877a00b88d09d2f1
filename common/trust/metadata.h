#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include "common/core/bytes.h"
#include "common/core/result.h"
#include "common/trust/keys.h"

namespace slipway::trust {

/// The limits that TUF leaves to the application. Sizes are bytes of a whole file.
namespace limits {
inline constexpr std::uint64_t root_bytes = 512'000;
inline constexpr std::uint64_t timestamp_bytes = 16'384;
inline constexpr std::uint64_t snapshot_bytes = 2'000'000;
inline constexpr std::uint64_t targets_bytes = 5'000'000; ///< Delegated roles too.
inline constexpr int root_rotations = 256;                ///< New roots followed in one refresh.
inline constexpr std::size_t delegations = 32;            ///< Roles visited for one target.
inline constexpr std::size_t listed_roles = 1'024;        ///< Roles visited to list all targets.
inline constexpr std::size_t signatures = 256;            ///< In one file.
inline constexpr std::size_t keys = 16'384;               ///< In one file.
inline constexpr std::size_t delegations_listed = 16'384; ///< In one file: hash bins are many.
inline constexpr std::size_t name_bytes = 4'096;          ///< A target's path, a pattern.
inline constexpr std::size_t role_name_bytes = 200;       ///< With escapes: it becomes a file name.
} // namespace limits

/// `{"signatures":[…],"signed":{…}}`, syntax checked, nothing verified.
struct Envelope {
    nlohmann::json body; ///< "signed", with the fields that this program does not know.
    std::string message; ///< What signatures are over: the canonical form of `body`.
    std::map<std::string, std::string> signatures; ///< Hexadecimal signature by key id.
};

/// Who may sign for a role: `threshold` different keys of `key_ids`.
struct RoleKeys {
    std::vector<std::string> key_ids;
    std::uint64_t threshold = 1;
};

using KeyRing = std::map<std::string, PublicKey>; ///< By key id.

/// What each role's metadata has.
struct Header {
    std::uint64_t version = 0;
    std::chrono::sys_seconds expires;
};

struct Root {
    Header header;
    bool consistent_snapshot = false;
    KeyRing keys;
    std::map<std::string, RoleKeys> roles; ///< At least root, timestamp, snapshot and targets.
};

/// How timestamp and snapshot describe another metadata file.
struct FileDescription {
    std::uint64_t version = 0;
    std::optional<std::uint64_t> length;
    std::map<std::string, std::string> hashes; ///< Hexadecimal digest by algorithm; may be empty.
};

struct Timestamp {
    Header header;
    FileDescription snapshot;
};

struct Snapshot {
    Header header;
    std::map<std::string, FileDescription> meta; ///< By file name without version: "targets.json".
};

/// A target as a role describes it.
struct TargetFile {
    std::uint64_t length = 0;
    std::map<std::string, std::string> hashes; ///< Hexadecimal digest by algorithm, not empty.
    std::string custom;                        ///< JSON text of an object, or empty.
};

struct Delegation {
    std::string name;
    RoleKeys keys;
    bool terminating = false;
    std::vector<std::string> paths;              ///< Patterns, or
    std::vector<std::string> path_hash_prefixes; ///< these; never both.

    /// Whether the delegator trusts this role with `target_path`.
    [[nodiscard]] bool covers(std::string_view target_path) const;
};

struct Targets {
    Header header;
    std::map<std::string, TargetFile> targets;
    KeyRing keys; ///< Of the delegations.
    std::vector<Delegation> delegations;
};

// Errors of all below: Errc::verification_failed; the context begins with `what`, the file's name.

[[nodiscard]] Result<Envelope> parse_envelope(ByteSpan file, std::uint64_t max_bytes,
                                              std::string_view what);
/// These check type, version of the specification, every field that the model has, and that each
/// listed key id is the key's. A key under a wrong id is left out: it can then verify nothing.
[[nodiscard]] Result<Root> parse_root(const Envelope& envelope, std::string_view what);
[[nodiscard]] Result<Timestamp> parse_timestamp(const Envelope& envelope, std::string_view what);
[[nodiscard]] Result<Snapshot> parse_snapshot(const Envelope& envelope, std::string_view what);
[[nodiscard]] Result<Targets> parse_targets(const Envelope& envelope, std::string_view what);

/// Whether `envelope` has valid signatures by at least `role.threshold` different keys. A key that
/// is listed under several ids counts once.
[[nodiscard]] Result<> verify_threshold(const Envelope& envelope, const KeyRing& keys,
                                        const RoleKeys& role, std::string_view what,
                                        std::string_view role_name);

/// Length and all hashes whose algorithm is known (sha256, sha512); at least one has to be.
[[nodiscard]] Result<> verify_bytes(ByteSpan bytes, std::optional<std::uint64_t> length,
                                    const std::map<std::string, std::string>& hashes,
                                    std::string_view what);

/// The file with `body` and its signatures. `body` must be valid UTF-8 throughout.
[[nodiscard]] Bytes encode_envelope(const nlohmann::json& body,
                                    const std::map<std::string, std::string>& signatures);

/// A role's name as a component of a URL path and of a file name: every byte except letters,
/// digits, '_', '-', '.' and '~' becomes %XX.
[[nodiscard]] std::string escape_role_name(std::string_view name);

/// Unix shell pattern: '*' and '?' match within one path component, [a-z] and [!a-z] one byte of
/// it.
[[nodiscard]] bool matches_pattern(std::string_view pattern, std::string_view path);

} // namespace slipway::trust
