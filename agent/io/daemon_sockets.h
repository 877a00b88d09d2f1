#pragma once

#include <filesystem>
#include <string>

#include "common/core/result.h"
#include "common/io/file_ops.h"

namespace slipway::agent {

/// Tells when a file may have changed: its directory is watched, so that a file that is replaced by
/// a rename, or is not there yet, is seen too.
class FileWatch {
public:
    [[nodiscard]] static Result<FileWatch> start(const std::filesystem::path& file);
    [[nodiscard]] int fd() const { return fd_.get(); }
    /// Whether one of the events that wait is about the file; takes them all.
    [[nodiscard]] bool take();

private:
    Fd fd_;
    std::string name_;
};

/// A UNIX stream socket that gives a text to whoever connects; for the owner and the group.
class StatusSocket {
public:
    /// Replaces a socket that an earlier run left.
    [[nodiscard]] static Result<StatusSocket> listen(const std::filesystem::path& path);
    [[nodiscard]] int fd() const { return fd_.get(); }
    /// Answers one caller. One that does not read gets what its socket buffer takes; nobody waits.
    void answer(const std::string& text) const;

private:
    Fd fd_;
};

/// What the daemon that listens at `socket` says: the other end of StatusSocket. Errors: the errno
/// of connect(2) when there is none; Errc::failed when it says nothing within 5 s, or too much.
[[nodiscard]] Result<std::string> ask_daemon(const std::filesystem::path& socket);

} // namespace slipway::agent
