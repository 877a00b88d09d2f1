#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "common/repository/reader.h"

namespace slipway::agent {

/// Passes a repository's files on and keeps a copy of targets and of each version of the root in
/// `directory`, by the same paths. The installer follows the chain of roots by itself.
class KeepingSource final : public RepositoryFiles {
public:
    /// `source` must outlive it. Without a directory nothing is kept.
    KeepingSource(RepositoryFiles& source, std::optional<std::filesystem::path> directory)
        : source_(source), directory_(std::move(directory)) {}
    [[nodiscard]] Result<Bytes> fetch(const std::string& path, std::uint64_t max_bytes) override;
    [[nodiscard]] const std::string& location() const override { return source_.location(); }

private:
    RepositoryFiles& source_;
    std::optional<std::filesystem::path> directory_;
};

/// Makes `directory`/metadata what a repository with the trusted metadata in `trusted` looks like;
/// the timestamp comes last, older versions go. Roots are left to KeepingSource.
[[nodiscard]] Result<> keep_metadata(const std::filesystem::path& trusted,
                                     const std::filesystem::path& directory,
                                     const trust::Client& client);

} // namespace slipway::agent
