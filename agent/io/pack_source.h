#pragma once

#include <cstdint>
#include <stop_token>
#include <vector>

#include "agent/core/fetch_plan.h"
#include "common/format/pack.h"

namespace slipway::agent {

struct PackRequest {
    PackId pack;
    std::vector<Range> wanted;
};

struct FetchTotals {
    std::uint64_t fetched_bytes = 0; ///< Payload received, or copied from a directory.
    std::uint64_t had_bytes = 0;     ///< Of wanted pieces: were on this host already.
};

/// Where the bytes of packs come from: the seam between what fetches and what builds. Bytes that it
/// vouches for are in ROOT/packs; who decodes them checks every chunk.
class PackSource {
public:
    virtual ~PackSource() = default;
    /// What fetch() would have to get, pack by pack.
    [[nodiscard]] virtual Result<std::vector<std::vector<Range>>>
    missing(const std::vector<PackRequest>& requests, std::stop_token stop) = 0;
    /// After it, all of `requests` is on this host.
    [[nodiscard]] virtual Result<> fetch(const std::vector<PackRequest>& requests,
                                         std::stop_token stop) = 0;
};

} // namespace slipway::agent
