#pragma once

#include <vector>

#include "agent/io/host_layout.h"
#include "agent/io/pack_source.h"

namespace slipway::agent {

/// The packs that another process fetched: looks, never fetches. Only their presence is looked at;
/// their bytes are nobody's word until a chunk that they decode to matches its SHA-256.
class StoredPacks final : public PackSource {
public:
    /// `host` must outlive it.
    explicit StoredPacks(const HostLayout& host) : host_(host) {}

    [[nodiscard]] Result<std::vector<std::vector<Range>>>
    missing(const std::vector<PackRequest>& requests, std::stop_token stop) override;
    /// Errc::not_found if anything is missing; lacking() then tells what.
    [[nodiscard]] Result<> fetch(const std::vector<PackRequest>& requests,
                                 std::stop_token stop) override;

    /// What the last fetch() did not find.
    [[nodiscard]] const std::vector<PackRequest>& lacking() const { return lacking_; }

private:
    const HostLayout& host_;
    std::vector<PackRequest> lacking_;
};

} // namespace slipway::agent
