#include "agent/io/daemon.h"

#include "agent/io/daemon_loop.h"
#include "agent/io/file_ops.h"

namespace slipway::agent {
namespace {

// The keeper of a hook dies with its daemon, but not at the same instant; it may hold the lock,
// too.
constexpr unsigned lock_patience_ms = 5'000;

} // namespace

Result<> run_daemon(const DaemonOptions& options, const std::stop_token& stop) {
    const HostLayout host{std::filesystem::absolute(options.config.root)};
    RealFileOps files;
    if (auto made = files.make_directory(host.root); !made) {
        return made;
    }
    const auto lock =
        FileLock::acquire(host.root / "agent.lock", "slipway-agent run", lock_patience_ms);
    if (!lock) {
        return tl::unexpected(lock.error());
    }
    auto journal = Journal::open(host.root / "journal");
    if (!journal) {
        return tl::unexpected(std::move(journal.error()));
    }
    const auto file = DesiredFile::watch(options.desired);
    if (!file) {
        return tl::unexpected(file.error());
    }
    auto status = StatusSocket::listen(host.root / "agent.sock");
    if (!status) {
        return tl::unexpected(std::move(status.error()));
    }
    auto metrics = MetricsServer::start(host.root / "metrics.sock", options.config.metrics);
    if (!metrics) {
        return tl::unexpected(std::move(metrics.error()));
    }
    auto sources = options.sources;
    sources.insert(sources.begin(), file->get());
    DaemonLoop(options, host,
               {std::move(*journal), std::move(*status), std::move(*metrics), options.hook_cgroups,
                std::move(sources), options.listeners})
        .run(stop);
    return {};
}

} // namespace slipway::agent
