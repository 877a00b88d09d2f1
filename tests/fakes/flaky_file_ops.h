#pragma once

#include "agent/io/file_ops.h"
#include "common/core/errc.h"

namespace slipway::fakes {

/// Passes the first `allowed` changing calls on to the disk and fails the rest, as if the process
/// had been killed there: every point of failure can be visited by counting.
class FlakyFileOps final : public agent::FileOps {
public:
    FlakyFileOps(agent::FileOps& disk, int allowed) : disk_(disk), allowed_(allowed) {}
    [[nodiscard]] bool failed() const { return failed_; }

    Result<> make_directory(const std::filesystem::path& path) override {
        return spend([&] { return disk_.make_directory(path); });
    }
    Result<> make_symlink(const std::filesystem::path& target,
                          const std::filesystem::path& path) override {
        return spend([&] { return disk_.make_symlink(target, path); });
    }
    Result<> rename(const std::filesystem::path& from, const std::filesystem::path& to) override {
        return spend([&] { return disk_.rename(from, to); });
    }
    Result<> exchange(const std::filesystem::path& from, const std::filesystem::path& to) override {
        return spend([&] { return disk_.exchange(from, to); });
    }
    Result<> replace_file(const std::filesystem::path& path, ByteSpan bytes) override {
        return spend([&] { return disk_.replace_file(path, bytes); });
    }
    Result<> put_file(const std::filesystem::path& path, ByteSpan bytes) override {
        return spend([&] { return disk_.put_file(path, bytes); });
    }
    Result<> remove(const std::filesystem::path& path) override {
        return spend([&] { return disk_.remove(path); });
    }
    Result<> set_mode(const std::filesystem::path& directory, unsigned mode) override {
        return spend([&] { return disk_.set_mode(directory, mode); });
    }
    Result<> make_spare(const std::filesystem::path& path, std::uint64_t bytes) override {
        return spend([&] { return disk_.make_spare(path, bytes); });
    }
    Result<> sync_directory(const std::filesystem::path& path) override {
        return spend([&] { return disk_.sync_directory(path); });
    }

private:
    template <typename Call>
    Result<> spend(Call call) {
        if (allowed_ == 0) {
            failed_ = true;
            return fail(std::make_error_code(std::errc::io_error), "the disk of this test");
        }
        --allowed_;
        return call();
    }

    agent::FileOps& disk_;
    int allowed_;
    bool failed_ = false;
};

} // namespace slipway::fakes
