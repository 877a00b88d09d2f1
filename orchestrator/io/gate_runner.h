#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <stop_token>
#include <string>

#include "common/io/asio.h"
#include "orchestrator/core/machine.h"
#include "orchestrator/core/orchestrator_config.h"
#include "orchestrator/io/comparer.h"

namespace slipway::orchestrator {

/// Gets gates answered: asks Prometheus and webhooks. Whatever does not answer holds.
///
/// Threads: called on the io thread; asks on `pool`, so that a slow gate delays no other and no
/// report of a host.
class GateRunner {
public:
    struct Options {
        std::map<std::string, PrometheusConfig> prometheus; ///< Gates name theirs.
        std::map<std::string, HookConfig> hooks;
        std::function<std::int64_t()> now_unix_ms;
        Store* store = nullptr; ///< Keeps judges; outlives the runner.
        std::function<std::uint64_t()> epoch;
    };
    using Said = std::function<void(GateSaid)>;
    /// `pool` must outlive it. `said` gets the answers, on the io thread.
    GateRunner(net::io_context& io, net::thread_pool& pool, Options options, Said said);

    void ask(AskGate gate);
    [[nodiscard]] Comparer& comparer() { return comparer_; }
    /// Cuts short what is asked now.
    void stop() { stop_.request_stop(); }

private:
    void answer_later(AskGate gate, std::function<GateAnswer()> work);
    [[nodiscard]] MetricReading query(const GateSpec& gate, const std::string& promql) const;
    [[nodiscard]] GateAnswer ask_prometheus(const AskGate& gate) const;
    [[nodiscard]] GateAnswer ask_webhook(const AskGate& gate) const;

    net::io_context& io_;
    net::thread_pool& pool_;
    Options options_;
    Said said_;
    std::stop_source stop_;
    Comparer comparer_;
};

} // namespace slipway::orchestrator
