#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "agent/core/install_machine.h"
#include "agent/io/daemon_sockets.h"
#include "common/api/desired.h"

namespace slipway::agent {

/// Where the daemon learns what should run: a file, or a connection to the orchestrator that has a
/// thread of its own. A source never changes what runs by being gone or wrong.
class DesiredSource {
public:
    virtual ~DesiredSource() = default;
    /// For messages: the file's name, the URL.
    [[nodiscard]] virtual std::string name() const = 0;
    /// Readable when take() may have something to give. The same as long as the source lives.
    [[nodiscard]] virtual int fd() const = 0;
    /// What is wanted, if that may have changed since the last call; an error if it cannot be
    /// known: what was wanted before stays wanted then. Called by the daemon's loop, once at its
    /// start and whenever fd() is readable. Must not block, and must leave fd() unreadable.
    [[nodiscard]] virtual std::optional<Result<api::Desired>> take() = 0;
    /// The services' machines have taken what take() gave, and the journal has it.
    virtual void obeyed(const api::Desired& /*desired*/) {}
};

/// Who wants to know what the daemon decides. Called by the daemon's loop; must not block.
class DaemonListener {
public:
    virtual ~DaemonListener() = default;
    /// The state as it is in the journal: at the start for every service, then after every change.
    virtual void state_changed(const std::string& service, const InstallState& state) = 0;
    /// Something worth telling people: the phase changed, or an order was refused.
    virtual void reported(const std::string& service, const Report& report) = 0;
};

/// What is wanted from a file, which is read again whenever it is written or replaced.
class DesiredFile final : public DesiredSource {
public:
    /// Errors: the errno when the file's directory cannot be watched.
    [[nodiscard]] static Result<std::unique_ptr<DesiredFile>>
    watch(const std::filesystem::path& file);

    [[nodiscard]] std::string name() const override { return file_.string(); }
    [[nodiscard]] int fd() const override { return watch_.fd(); }
    [[nodiscard]] std::optional<Result<api::Desired>> take() override;

private:
    DesiredFile(std::filesystem::path file, FileWatch watch)
        : file_(std::move(file)), watch_(std::move(watch)) {}
    std::filesystem::path file_;
    FileWatch watch_;
    bool first_ = true;
};

} // namespace slipway::agent
