#pragma once

#include <set>
#include <string>
#include <vector>

#include "agent/core/history.h"

namespace slipway::agent {

/// A release that a host has, and when it was installed (RFC 3339, so that text order is time
/// order).
struct InstalledRelease {
    ReleaseId id;
    std::string installed_at;
};

/// Which releases stay: current, previous, those of `also`, and `keep_more` others: those a
/// rollback would reach first, then the newest. Pure.
[[nodiscard]] std::set<ReleaseId> releases_to_keep(const History& history,
                                                   const std::vector<InstalledRelease>& installed,
                                                   std::size_t keep_more,
                                                   const std::vector<ReleaseId>& also = {});

} // namespace slipway::agent
