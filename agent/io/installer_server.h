#pragma once

#include <sys/types.h>

#include "agent/io/installer_operations.h"
#include "common/io/file_ops.h"

namespace slipway::agent {

/// Serves the installer protocol to root and to one other user; anybody else gets one failed reply
/// and is cut off. A thread a connection, connections_max at most; each does one operation at a
/// time, and listens for `cancel` meanwhile. A client that goes away cancels what it asked for.
class InstallerServer {
public:
    static constexpr std::size_t connections_max = 16;

    /// `operations` must outlive it.
    InstallerServer(InstallerOperations& operations, uid_t agent);

    /// Accepts until the process ends: the disk is valid at every instant, so being killed is the
    /// one way to stop.
    [[nodiscard]] Result<> run(const Fd& listening);

private:
    InstallerOperations& operations_;
    uid_t agent_;
};

} // namespace slipway::agent
