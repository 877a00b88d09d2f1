#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "common/delta/codec.h"
#include "common/format/index.h"
#include "common/format/manifest.h"
#include "common/format/pack.h"
#include "common/io/progress.h"
#include "common/trust/signer.h"

namespace slipway {

struct PublishRequest {
    std::filesystem::path repository;
    trust::KeyDirectory keys =
        std::filesystem::path(); ///< Of targets or a delegated role, snapshot, timestamp.
    std::filesystem::path tree;
    ArtifactId id;
    ArtifactKind kind = ArtifactKind::code;
    std::string unit;
    std::optional<RunSpec> run; ///< Instead of `unit`: all of how it runs.
    std::map<std::string, std::string> labels;
    EffortLevel level;
    /// Versions of the same name to make patches from; nothing means the last two.
    std::optional<std::vector<std::string>> patch_from;
    bool allow_setuid = false;
    trust::TimePoint now; ///< When it is published; goes into metadata, never into the manifest.
    unsigned lock_patience_ms = 600'000;
    Progress* progress = nullptr; ///< May be nullptr.
};

struct PublishResult {
    Sha256Digest digest; ///< Of the manifest.
    Manifest manifest;
    bool already_published = false;   ///< The same manifest was there; nothing was written.
    std::vector<PackEntry> new_packs; ///< Those that this publication wrote.
    PackMap packs;                    ///< Of the artifact, empty if it was published already.
    /// What lacks signatures of other holders. Until they sign, readers see nothing of it.
    std::vector<trust::Waiting> waiting;
};

/// Publishes a directory tree as an artifact (docs/format.md).
///
/// Guarantee: a reader of the repository sees all of the artifact or nothing of it; a publication
/// that fails or is killed leaves temporary files at most, which the next one removes. One
/// publication at a time: the repository is locked.
///
/// Errors: Errc::failed if the id is published with another manifest, or the tree holds what an
/// artifact cannot; Errc::changed if the tree changed meanwhile; Errc::not_found for an unknown
/// version in `patch_from`, or no repository; Errc::verification_failed for damage in the
/// repository; Errc::cancelled; errors of the disk. All name the path.
///
/// Memory: below 200 MiB besides about 300 bytes a name, whatever the length of files; and while a
/// file over 64 MiB is patched, up to 128 MiB of mapped pages, which the system can drop.
[[nodiscard]] Result<PublishResult> publish(const PublishRequest& request,
                                            const std::stop_token& stop);

} // namespace slipway
