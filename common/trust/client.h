#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "common/core/bytes.h"
#include "common/core/result.h"
#include "common/core/sha256.h"

namespace slipway::trust {

struct TargetFile;

using TimePoint = std::chrono::system_clock::time_point;

/// Where metadata comes from: an HTTP server or a directory. Untrusted.
class MetadataSource {
public:
    virtual ~MetadataSource() = default;
    /// The file `path` ("3.root.json") below the repository's metadata/. It is one URL path
    /// component: what a role's name has besides letters, digits and "_-.~" is escaped as %XX.
    /// Must stop reading beyond `max_bytes` and fail with Errc::verification_failed, and must
    /// bound the time that it takes. Missing: Errc::not_found.
    [[nodiscard]] virtual Result<Bytes> fetch_metadata(const std::string& path,
                                                       std::uint64_t max_bytes) = 0;
};

/// The metadata/ of a repository on this machine.
class DirectorySource final : public MetadataSource {
public:
    explicit DirectorySource(std::filesystem::path metadata) : metadata_(std::move(metadata)) {}
    [[nodiscard]] Result<Bytes> fetch_metadata(const std::string& path,
                                               std::uint64_t max_bytes) override;

private:
    std::filesystem::path metadata_;
};

/// A target as the signed metadata describes it.
struct Target {
    std::string path;
    std::uint64_t bytes = 0;
    Sha256Digest sha256;
    std::string custom; ///< The `custom` object as JSON text, or empty.
};

/// TUF client workflow (specification 1.0.34, section 5) over one directory of trusted metadata:
///
///     root.json timestamp.json snapshot.json targets.json <delegated role, escaped>.json
///
/// Guarantees: a file there was verified before it was written, and is replaced atomically, so
/// that a crash or a full disk at any moment leaves the old one or the new one. What is missing or
/// damaged is fetched anew, except root.json: it is what all else is verified with, so a damaged
/// one is an error until trust_root() is called.
///
/// Every refusal is Errc::verification_failed; its context names the file, the check and, where
/// one applies, the attack. Errors of the source and of the disk keep their code.
///
/// Blocking; not thread-safe; one client a directory at a time (the caller holds a lock).
class Client {
public:
    /// `now` is the fixed start time of 5.1. `source` must outlive the client.
    Client(std::filesystem::path directory, MetadataSource& source, TimePoint now);
    ~Client();
    Client(Client&&) noexcept;

    /// Makes `root` the trusted root if the directory has none yet, or a damaged one; a directory
    /// that has one keeps it (it may have been rotated since), unless the given one is the next
    /// version and chained to it. Creates the directory.
    [[nodiscard]] Result<> trust_root(ByteSpan root);

    /// Sections 5.2 to 5.6 up to the top-level targets. After an error find() and all() answer
    /// from what they answered from before.
    [[nodiscard]] Result<> refresh();

    /// Section 5.6.7: the target, through delegations. Errc::not_found if no role lists it;
    /// Errc::verification_failed if a role on the way cannot be trusted. Needs refresh() or
    /// load_local() first.
    [[nodiscard]] Result<Target> find(const std::string& target_path);

    /// The same with all hashes that are listed, for targets that have no SHA-256.
    [[nodiscard]] Result<TargetFile> find_listed(const std::string& target_path);

    /// Every target that find() finds, by path. Errors: those of find() for any role.
    [[nodiscard]] Result<std::vector<Target>> all();

    /// Uses metadata on disk only, expired or not, for what is installed already (status,
    /// rollback). Errc::not_found if a refresh never got as far as the targets.
    [[nodiscard]] Result<> load_local();

    /// Whether the trusted root says that file names carry versions and hashes.
    [[nodiscard]] bool consistent_snapshot() const;

private:
    struct State;
    std::unique_ptr<State> state_;
};

/// Section 5.7: where target files are under consistent snapshots: "a/b" -> "a/<sha256>.b".
[[nodiscard]] std::string consistent_target_path(const Target& target);
[[nodiscard]] std::string consistent_target_path(const std::string& path, const std::string& hash);

} // namespace slipway::trust
