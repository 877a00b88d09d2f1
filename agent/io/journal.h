#pragma once

#include <filesystem>
#include <map>
#include <string>

#include "common/core/result.h"
#include "common/io/file_ops.h"

namespace slipway::agent {

/// What a daemon must remember, on disk: the last value of each key.
///
/// Guarantee: once put() gave no error the value survives any crash; a put() that failed or was cut
/// off leaves the earlier value. The file is appended to and synced (fdatasync) by each put(), and
/// written anew beside itself and renamed when it has grown well beyond what it holds.
///
/// A damaged journal never keeps the daemon from starting: what is before the damage counts, the
/// file is kept as `<path>.damaged`, and `fault()` says so. Not thread-safe; one process per path.
class Journal {
public:
    /// Removes what an earlier process that was killed left beside the file.
    /// Errors: the errno of the failed call; Errc::failed when a newer program wrote the file.
    [[nodiscard]] static Result<Journal> open(std::filesystem::path path);

    [[nodiscard]] const std::map<std::string, std::string>& values() const { return values_; }
    /// Empty, or what was wrong with the file and what was done. A torn last write, which is what a
    /// crash leaves, is told too.
    [[nodiscard]] const std::string& fault() const { return fault_; }
    /// Whether the fault was the disk's and not a crash's.
    [[nodiscard]] bool was_corrupt() const { return corrupt_; }

    /// Key: 1 to 255 bytes; value: at most journal_value_bytes_max, else Errc::failed.
    [[nodiscard]] Result<> put(const std::string& key, const std::string& value);

private:
    explicit Journal(std::filesystem::path path) : path_(std::move(path)) {}
    [[nodiscard]] Result<> compact();
    [[nodiscard]] Result<> open_for_append();

    std::filesystem::path path_;
    Fd fd_;
    std::uint64_t bytes_ = 0; ///< Of whole entries; what is beyond is cut before the next write.
    std::uint64_t compact_bytes_ = 0;
    std::map<std::string, std::string> values_;
    std::string fault_;
    bool corrupt_ = false;
};

} // namespace slipway::agent
