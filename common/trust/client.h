#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "common/core/bytes.h"
#include "common/core/result.h"
#include "common/core/sha256.h"

namespace slipway::trust {

using TimePoint = std::chrono::system_clock::time_point;

/// Where metadata comes from: an HTTP server or a directory. Untrusted.
class MetadataSource {
public:
    virtual ~MetadataSource() = default;
    /// The file `path` ("3.root.json") below the repository's metadata/. Must stop reading beyond
    /// `max_bytes` and fail with Errc::verification_failed. Missing: Errc::not_found.
    [[nodiscard]] virtual Result<Bytes> fetch_metadata(const std::string& path,
                                                       std::uint64_t max_bytes) = 0;
};

/// A target as the signed metadata describes it.
struct Target {
    std::string path;
    std::uint64_t bytes = 0;
    Sha256Digest sha256;
    std::string custom; ///< The `custom` object as JSON text, or empty.
};

/// TUF client workflow (specification 1.0.34, section 5) over one directory of trusted metadata.
/// Blocking; not thread-safe; one client a directory at a time (the caller holds a lock).
class Client {
public:
    /// `directory` holds (or will hold) root.json, timestamp.json, snapshot.json, targets.json and
    /// delegated roles. `now` is the fixed start time of 5.1. `source` must outlive the client.
    Client(std::filesystem::path directory, MetadataSource& source, TimePoint now);
    ~Client();
    Client(Client&&) noexcept;

    /// Makes `root` the trusted root if the directory has none yet; a directory that has one keeps
    /// it (it may have been rotated since), unless the given one is newer and chained to it.
    [[nodiscard]] Result<> trust_root(ByteSpan root);

    /// Sections 5.3 to 5.6 up to the top-level targets. After an error the trusted metadata is what
    /// was verified before; each error names the role and the check.
    [[nodiscard]] Result<> refresh();

    /// Section 5.6.7: the target, through delegations. Errc::not_found if no role lists it.
    [[nodiscard]] Result<Target> find(const std::string& target_path);

    /// Every target that a trusted role lists, delegations included, by path.
    [[nodiscard]] Result<std::vector<Target>> all();

    /// Uses metadata on disk only, expired or not, for what is installed already (status,
    /// rollback).
    [[nodiscard]] Result<> load_local();

private:
    struct State;
    std::unique_ptr<State> state_;
};

/// Section 5.7: where target files are under consistent snapshots: "a/b" -> "a/<sha256>.b".
[[nodiscard]] std::string consistent_target_path(const Target& target);

} // namespace slipway::trust
