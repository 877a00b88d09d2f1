#include "agent/io/config_reload.h"

#include <sys/eventfd.h>

namespace slipway::agent {

ConfigReload::ConfigReload(Read read)
    : read_(std::move(read)), asked_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}

void ConfigReload::ask() const {
    (void)::eventfd_write(asked_.get(), 1);
}

std::optional<Result<AgentConfig>> ConfigReload::take() const {
    eventfd_t count = 0;
    if (::eventfd_read(asked_.get(), &count) != 0) {
        return std::nullopt;
    }
    return read_();
}

} // namespace slipway::agent
