#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <sys/types.h>

#include "common/core/bytes.h"
#include "common/io/file_ops.h"

namespace slipway::agent {

/// A listening UNIX SOCK_SEQPACKET socket at `path`, which replaces a socket that a killed process
/// left there. Only its owner, `owner` if given, may connect.
[[nodiscard]] Result<Fd> listen_at(const std::filesystem::path& path, std::optional<uid_t> owner);

/// The one socket that the service manager passed (LISTEN_FDS); nothing if it passed none.
/// `listen_pid` and `listen_fds` are the texts of those variables, or nullptr.
[[nodiscard]] Result<std::optional<Fd>> passed_socket(const char* listen_pid,
                                                      const char* listen_fds);

[[nodiscard]] Result<Fd> connect_to(const std::filesystem::path& path);

/// The user at the other end, as the kernel knows it.
[[nodiscard]] Result<uid_t> peer_user(int socket);

/// One message. Errors: Errc::unreachable if the other side is gone.
[[nodiscard]] Result<> send_message(int socket, std::string_view text);
/// Waits for one message; nothing when the other side has closed. A message beyond the protocol's
/// limit: Errc::verification_failed.
[[nodiscard]] Result<std::optional<Bytes>> receive_message(int socket);

} // namespace slipway::agent
