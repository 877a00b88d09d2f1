#include "agent/io/service_manager.h"

#include <ctime>
#include <systemd/sd-daemon.h>

namespace slipway::agent {
namespace {

void tell(const std::string& text) {
    (void)::sd_notify(0, text.c_str()); // Nobody may be there.
}

} // namespace

void ServiceManager::ready() {
    tell("READY=1");
}

void ServiceManager::alive() {
    tell("WATCHDOG=1");
}

void ServiceManager::begin_reload() {
    timespec now{};
    ::clock_gettime(CLOCK_MONOTONIC, &now);
    const auto microseconds = static_cast<std::uint64_t>(now.tv_sec) * 1'000'000 +
                              static_cast<std::uint64_t>(now.tv_nsec) / 1'000;
    tell("RELOADING=1\nMONOTONIC_USEC=" + std::to_string(microseconds));
}

void ServiceManager::stopping() {
    tell("STOPPING=1");
}

void ServiceManager::status(const std::string& text) {
    if (text != status_) {
        status_ = text;
        tell("STATUS=" + text);
    }
}

} // namespace slipway::agent
