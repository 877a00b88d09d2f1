#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>

#include "common/api/sync.h"
#include "common/io/asio.h"
#include "orchestrator/core/liveness.h"
#include "orchestrator/io/api_server.h"
#include "orchestrator/io/driver.h"
#include "orchestrator/io/held_polls.h"
#include "orchestrator/io/orchestrator_metrics.h"

namespace slipway::orchestrator {

/// Where agents report and get their orders (docs/api/agents.yaml): takes in what a host says, and
/// holds its request until there is something else to do than the host says, or the time is over.
///
/// An order is given out only when it is durable and while the lease is held. A report that is what
/// the host said before is not looked into.
///
/// Threads: the io thread.
class AgentDesk {
public:
    struct Options {
        /// What agents are asked to hold their requests for, and to report at least so often.
        std::chrono::milliseconds busy{1'000};  ///< While a deployment touches the host.
        std::chrono::milliseconds idle{10'000}; ///< Else.
        std::function<std::int64_t()> now_unix_ms;
        std::function<bool()> is_held; ///< Whether this process may act on the lease now.
        /// What a host says of its metrics, each time that it reports.
        std::function<void(const std::string& host, std::vector<api::MetricReport>)> metrics;
    };
    AgentDesk(Driver& driver, Store& store, net::thread_pool& writer, OrchestratorMetrics& metrics,
              Options options);

    /// Answers one request of the host `asked.who`.
    net::awaitable<Answer> sync(Asked asked);

    /// A term begins: its hosts have time to come back.
    void begin(const std::vector<std::string>& hosts);
    /// It is over: all requests are answered.
    void end();
    /// A host has another order than it was told.
    void wake(const std::string& host) { polls_.wake(host); }
    /// Tells the driver of hosts that are gone. To be called every 100 ms.
    void check(Liveness::TimePoint now);

private:
    /// Whether the host is told something else than it says.
    [[nodiscard]] bool has_news(const HostReport& report) const;
    [[nodiscard]] bool was_told(const HostReport& report) const;
    [[nodiscard]] std::chrono::milliseconds pace_of(const OrderHost* order) const;
    net::awaitable<Result<>> take_in(const HostReport& report, std::uint64_t number,
                                     const std::string& body, bool is_back);
    net::awaitable<Answer> answer_report(HostReport report, std::uint64_t events_to,
                                         Liveness::TimePoint until);
    net::awaitable<Result<std::uint64_t>> keep_events(const std::string& host,
                                                      const api::SyncReport& report);

    Driver& driver_;
    Store& store_;
    net::thread_pool& writer_;
    OrchestratorMetrics& metrics_;
    Options options_;
    HeldPolls polls_;
    std::optional<Liveness> liveness_;
    struct Host {
        std::string said; ///< Its last report.
        std::string boot;
        std::uint64_t number = 0; ///< Of that boot: a report with a lower one was overtaken.
        /// The order that it was told last in this term. A host that does not take it is told again
        /// each second, not as fast as it asks.
        std::uint64_t told_generation = 0;
        bool was_told = false;
    };
    std::unordered_map<std::string, Host> hosts_;
};

} // namespace slipway::orchestrator
