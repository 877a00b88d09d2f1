#pragma once

#include <filesystem>
#include <memory>
#include <stop_token>
#include <string>

#include "common/core/names.h"
#include "common/io/http_client.h"
#include "common/io/progress.h"

namespace slipway {

struct PushRequest {
    std::string url;              ///< Of a seeder that publishers may push to.
    std::filesystem::path mirror; ///< With the artifact published in it; see mirror.h.
    ArtifactId artifact;
    std::shared_ptr<HttpTls> tls;
    Progress* progress = nullptr; ///< May be nullptr.
};

struct PushReport {
    std::uint64_t sent_bytes = 0;    ///< In this run.
    std::uint64_t resumed_bytes = 0; ///< Of unfinished files that were there from a broken push.
};

/// Sends what the seeder lacks of an artifact: packs, manifest and pack map, new metadata, and last
/// the request that puts all of it in place (docs/transport.md). The seeder checks every file
/// again, and the metadata as a client would. A push that breaks off goes on where it stopped.
///
/// Errors: Errc::forbidden without a publisher's certificate; Errc::failed if somebody else
/// published meanwhile; Errc::verification_failed if the seeder refuses what was sent;
/// Errc::unreachable, Errc::cancelled. All carry the seeder's reason.
[[nodiscard]] Result<PushReport> push_release(const PushRequest& request,
                                              const std::stop_token& stop);

} // namespace slipway
