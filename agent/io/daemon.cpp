#include "agent/io/daemon.h"

#include "agent/io/daemon_loop.h"
#include "agent/io/file_ops.h"
#include "agent/io/upstream_client.h"

namespace slipway::agent {
namespace {

// The keeper of a hook dies with its daemon, but not at the same instant; it may hold the lock,
// too.
constexpr unsigned lock_patience_ms = 5'000;

struct ToldBy {
    std::unique_ptr<DesiredFile> file;        ///< None: not asked for.
    std::unique_ptr<UpstreamClient> upstream; ///< None: no orchestrator is configured.
};

Result<ToldBy> sources_of(const DaemonOptions& options, const HostLayout& host) {
    ToldBy told_by;
    if (!options.desired.empty()) {
        auto file = DesiredFile::watch(options.desired);
        if (!file) {
            return tl::unexpected(std::move(file.error()));
        }
        told_by.file = std::move(*file);
    }
    const auto& config = options.config;
    if (!config.orchestrators.empty()) {
        auto upstream = UpstreamClient::start(
            host.root, {config.orchestrators, options.install.fetcher.tls, config.labels});
        if (!upstream) {
            return tl::unexpected(std::move(upstream.error()));
        }
        told_by.upstream = std::move(*upstream);
    }
    return told_by;
}

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
    auto told_by = sources_of(options, host);
    if (!told_by) {
        return tl::unexpected(std::move(told_by.error()));
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
    auto listeners = options.listeners;
    if (told_by->file) {
        sources.push_back(told_by->file.get());
    }
    if (told_by->upstream) {
        sources.push_back(told_by->upstream.get());
        listeners.push_back(told_by->upstream.get());
    }
    DaemonLoop(options, host,
               {std::move(*journal), std::move(*status), std::move(*metrics), options.hook_cgroups,
                std::move(sources), std::move(listeners), told_by->upstream.get()})
        .run(stop);
    return {};
}

} // namespace slipway::agent
