#pragma once

#include <functional>
#include <optional>

#include "agent/core/agent_config.h"
#include "common/io/file_ops.h"

namespace slipway::agent {

/// How somebody has the daemon read its configuration again (SIGHUP).
class ConfigReload {
public:
    using Read = std::function<Result<AgentConfig>()>;
    explicit ConfigReload(Read read);

    /// Thread-safe.
    void ask() const;
    /// Readable when take() has something to give.
    [[nodiscard]] int fd() const { return asked_.get(); }
    /// What the configuration is, if that was asked for since the last call. For the daemon's loop.
    [[nodiscard]] std::optional<Result<AgentConfig>> take() const;

private:
    Read read_;
    Fd asked_;
};

} // namespace slipway::agent
