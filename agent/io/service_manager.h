#pragma once

#include <string>

#include "agent/core/daemon_status.h"

namespace slipway::agent {

/// What the daemon tells systemd, or whoever gave it a NOTIFY_SOCKET (sd_notify(3)).
class ServiceManager {
public:
    void ready();
    void alive();
    /// Between begin_reload() and ready() the configuration is read.
    void begin_reload();
    void stopping();
    /// One line of daemon_summary(); told when it is another than before.
    void status(const std::string& text);

private:
    std::string status_;
};

} // namespace slipway::agent
