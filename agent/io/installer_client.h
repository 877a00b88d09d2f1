#pragma once

#include <filesystem>
#include <functional>

#include "agent/core/installer_protocol.h"
#include "common/io/file_ops.h"

namespace slipway::agent {

/// A connection to slipway-installer, for the agent. Blocking; not thread-safe. The installer may
/// be killed at any time: Errc::unreachable then, and the same request may be sent again over a new
/// connection.
class InstallerClient {
public:
    using OnProgress = std::function<void(const InstallerReply&)>;

    /// Connects, and checks that both speak one version of the protocol.
    [[nodiscard]] static Result<InstallerClient> connect(const std::filesystem::path& socket);

    /// The last reply, done or failed (see error_of()); progress goes to `on_progress`.
    [[nodiscard]] Result<InstallerReply> ask(InstallerRequest request,
                                             const OnProgress& on_progress = {});

    /// May be called by another thread while ask() waits: the operation ends with a failed reply.
    [[nodiscard]] Result<> cancel();

private:
    explicit InstallerClient(Fd socket) : socket_(std::move(socket)) {}
    Fd socket_;
    std::uint64_t next_id_ = 1;
};

} // namespace slipway::agent
