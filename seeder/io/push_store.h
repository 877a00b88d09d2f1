#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <string>

#include "common/io/file_ops.h"
#include "seeder/core/push_rules.h"

namespace slipway::seeder {

/// What publishers have sent and not yet put into the repository:
///
///     REPOSITORY/incoming/PUBLISHER/<sha256 of the object's path>.part    grows by appending
///     REPOSITORY/incoming/PUBLISHER/<sha256 of the object's path>         whole and verified
///     REPOSITORY/incoming/PUBLISHER/<…>.torrent                           metainfo of a pack
///
/// Each publisher has a directory of its own, so that nobody's push meddles with another's. The
/// directory is in the repository's file system: putting a file in place is a rename. Nothing in it
/// is served.
///
/// Blocking; the caller sees to it that one object has one writer.
class PushStore {
public:
    explicit PushStore(std::filesystem::path repository) : repository_(std::move(repository)) {}

    struct Progress {
        std::uint64_t bytes = 0;
        bool complete = false; ///< Staged and verified, or in the repository.
    };
    [[nodiscard]] Result<Progress> progress(const std::string& publisher,
                                            const PushObject& object) const;

    /// A file to write the range into. Its blocks were reserved: errors are Errc::failed (the
    /// wrong offset, too long, too many files) and no_space_on_device before a byte is taken.
    [[nodiscard]] Result<Fd> open(const std::string& publisher, const PushObject& object,
                                  const PushRange& range) const;

    /// Reads a file whose bytes are all here again and checks it against its name; a file that
    /// does not match is removed, Errc::verification_failed. Synced before it counts.
    [[nodiscard]] Result<> finish(const std::string& publisher, const PushObject& object) const;

    /// Removes files that nobody wrote to since `before`. Gives how many.
    [[nodiscard]] std::size_t remove_older_than(std::filesystem::file_time_type before) const;
    void remove_all(const std::string& publisher) const;

    /// Where a verified file of the publisher is, whether it is there or not.
    [[nodiscard]] std::filesystem::path staged(const std::string& publisher,
                                               const std::string& path) const;
    [[nodiscard]] const std::filesystem::path& repository() const { return repository_; }

private:
    [[nodiscard]] std::filesystem::path directory(const std::string& publisher) const;
    std::filesystem::path repository_;
};

} // namespace slipway::seeder
