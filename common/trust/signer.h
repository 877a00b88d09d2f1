#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "common/core/result.h"
#include "common/trust/client.h"

namespace slipway::trust {

/// How long each role's metadata is valid after signing.
struct Validity {
    std::chrono::days root{365};
    std::chrono::days targets{365};
    std::chrono::days snapshot{30};
    std::chrono::days timestamp{7};
};

/// Makes the four roles' Ed25519 keys in `keys` (mode 0700, files 0600) and the first metadata in
/// `repository`/metadata. Fails with Errc::failed if either exists already, changing nothing.
[[nodiscard]] Result<> init_repository(const std::filesystem::path& repository,
                                       const std::filesystem::path& keys, TimePoint now,
                                       Validity validity = {});

/// Adds or replaces `added` and removes `removed` in the targets role, then signs and writes
/// targets, snapshot and timestamp in an order in which every reader sees a consistent repository.
/// Each file appears by a rename after it was synced. The caller holds the repository's lock.
[[nodiscard]] Result<> publish_targets(const std::filesystem::path& repository,
                                       const std::filesystem::path& keys,
                                       const std::vector<Target>& added,
                                       const std::vector<std::string>& removed, TimePoint now,
                                       Validity validity = {});

/// Signs timestamp and snapshot anew when less than half of their validity is left.
/// Gives true if anything was written.
[[nodiscard]] Result<bool> renew(const std::filesystem::path& repository,
                                 const std::filesystem::path& keys, TimePoint now,
                                 Validity validity = {});

} // namespace slipway::trust
