#include "agent/io/service_command.h"

namespace slipway::agent {

Result<> ServiceCommand::start(const Release& release, SupervisedCommand command) {
    release_.reset();
    return supervisor_.start(std::move(command)).map([&] { release_ = release; });
}

Result<> ServiceCommand::restart(const Release& release, SupervisedCommand command) {
    const std::lock_guard lock(mutex_);
    return start(release, std::move(command));
}

Result<> ServiceCommand::keep(const Release& release, SupervisedCommand command) {
    const std::lock_guard lock(mutex_);
    return release_ == release ? Result<>() : start(release, std::move(command));
}

void ServiceCommand::stop() {
    const std::lock_guard lock(mutex_);
    if (release_) {
        supervisor_.stop();
        release_.reset();
    }
}

std::optional<UnitHealth> ServiceCommand::health() const {
    const std::lock_guard lock(mutex_);
    return release_ ? std::optional(supervisor_.health()) : std::nullopt;
}

} // namespace slipway::agent
