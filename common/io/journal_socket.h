#pragma once

#include <filesystem>
#include <optional>
#include <string_view>

#include "common/io/file_ops.h"

namespace slipway {

/// The way to systemd's journal. Thread-safe.
class JournalSocket {
public:
    /// Nothing if there is no such socket.
    [[nodiscard]] static std::optional<JournalSocket> connect(const std::filesystem::path& socket);
    /// Nothing unless standard error of this process is the journal's (JOURNAL_STREAM,
    /// sd-daemon(3)): who redirected it wants to see it.
    [[nodiscard]] static std::optional<JournalSocket> if_stderr_is_journal();

    /// False if the entry was not taken: journald is gone, or its queue is full. Does not wait.
    [[nodiscard]] bool send(std::string_view entry) const;

private:
    explicit JournalSocket(Fd fd) : fd_(std::move(fd)) {}
    Fd fd_;
};

} // namespace slipway
