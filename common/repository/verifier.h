#pragma once

#include <cstdint>
#include <filesystem>
#include <stop_token>
#include <string>
#include <vector>

#include "common/core/result.h"
#include "common/io/progress.h"

namespace slipway {

struct VerifyReport {
    std::uint64_t artifacts = 0;
    std::uint64_t packs = 0;
    std::uint64_t bytes = 0;         ///< Of packs that were read.
    std::uint64_t chunks = 0;        ///< That were decoded and checked.
    std::vector<std::string> damage; ///< One line a finding, naming the file.
};

/// Checks a repository on this machine from its signatures to the last chunk: metadata, manifests
/// and pack maps against their digests; each pack against its pieces root, its metainfo and its
/// table of contents; each block by decoding it and comparing every chunk with its digest; each
/// index against its manifest; that every artifact's chunks can be had from its packs in full.
///
/// Damage does not end it: the report lists all of it. Errors are only what keeps it from looking:
/// no repository, the lock, a full disk, Errc::cancelled; damaged metadata is
/// Errc::verification_failed.
[[nodiscard]] Result<VerifyReport> verify_repository(const std::filesystem::path& repository,
                                                     Progress* progress,
                                                     const std::stop_token& stop);

} // namespace slipway
