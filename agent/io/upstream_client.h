#pragma once

#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include "agent/core/daemon_status.h"
#include "agent/core/upstream.h"
#include "agent/core/upstream_report.h"
#include "agent/io/desired_source.h"
#include "agent/io/event_queue.h"
#include "agent/io/journal.h"
#include "common/io/http_client.h"

namespace slipway::agent {

/// The host's connection to its orchestrators: learns what should run, and tells how the host
/// stands. agent/core/upstream.h decides; this makes the calls, and keeps on the disk what must be
/// kept:
///
///     ROOT/upstream    a journal with the highest epoch that was obeyed
///     ROOT/events      the events that no orchestrator has taken yet
///
/// Nothing that an orchestrator does, or that it is gone, changes what runs here, but for an order.
/// Only a certificate of an orchestrator is taken orders from; certificates that are renewed are
/// used from the next connection on.
///
/// Threads: two of its own, which speak once the daemon asked for the first order: it has told of
/// all services then. All calls may come from any thread; they wait for small writes and, when an
/// order of a new epoch or events are sent, a sync. The destructor joins within about a second.
class UpstreamClient final : public DesiredSource, public DaemonListener {
public:
    struct Options {
        std::vector<std::string> urls; ///< "https://HOST:PORT", one at least.
        std::shared_ptr<HttpTls> tls;
        std::map<std::string, std::string> labels;
    };
    /// Errors: of the files, or no certificate.
    [[nodiscard]] static Result<std::unique_ptr<UpstreamClient>>
    start(const std::filesystem::path& root, Options options);
    ~UpstreamClient() override;
    UpstreamClient(const UpstreamClient&) = delete;
    UpstreamClient& operator=(const UpstreamClient&) = delete;

    [[nodiscard]] std::string name() const override { return "orchestrator"; }
    [[nodiscard]] int fd() const override { return wake_.get(); }
    [[nodiscard]] std::optional<Result<api::Desired>> take() override;
    void obeyed(const api::Desired& desired) override;

    void state_changed(const std::string& service, const InstallState& state) override;
    void reported(const std::string& service, const Report& report) override;
    /// How the process of a service that runs does, every few seconds. Called by any thread.
    void health_seen(const std::string& service, const ServiceHealth& health);

    [[nodiscard]] UpstreamStatus status();

private:
    using Clock = std::chrono::steady_clock;
    struct Service {
        InstallState state;
        ServiceHealth health;
        std::uint64_t running_since_ms = 0; ///< 0: since before the daemon began.
        api::ServiceReport report;          ///< As it was told, or is about to be.
    };
    UpstreamClient(Options options, Journal kept, EventQueue events, std::uint64_t epoch, Fd wake);
    void run(Line line, const std::stop_token& stop);
    void wait(std::unique_lock<std::mutex>& lock, Line line, const std::stop_token& stop);
    [[nodiscard]] api::SyncReport make_report(const UpstreamCall& call);
    [[nodiscard]] Result<api::SyncAnswer> exchange(HttpClient& http, const UpstreamCall& call,
                                                   const api::SyncReport& report,
                                                   const std::stop_token& stop) const;
    void take_answer(const UpstreamCall& call, const api::SyncReport& report,
                     api::SyncAnswer answer);
    void take_failure(const UpstreamCall& call, const std::string& why);
    void take_order(api::Desired desired);
    void forget_events(const api::SyncReport& report, std::uint64_t to);
    void note_connection(const std::string& why);
    void look_again(Service& service);
    void wake_lines();

    const Options options_;
    const std::string boot_;

    std::mutex mutex_;
    std::condition_variable_any changed_;
    std::uint64_t changes_ = 0;
    bool may_speak_ = false;
    Upstream machine_;
    std::uint64_t kept_epoch_;
    Journal kept_;
    EventQueue events_;
    bool events_fail_ = false; ///< The disk does not take them; told once.
    Fd wake_;
    std::optional<api::Desired> order_;
    std::map<std::string, Service> services_;
    UpstreamStatus status_;
    std::jthread urgent_;
    std::jthread held_; ///< Last: they use the others.
};

} // namespace slipway::agent
