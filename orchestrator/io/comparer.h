#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "common/io/asio.h"
#include "orchestrator/core/machine.h"
#include "orchestrator/core/metric_board.h"
#include "orchestrator/io/store.h"

namespace slipway::orchestrator {

/// Where judges are kept, by "DEPLOYMENT/BATCH/GATE": {"version": 1, "looks": n, "state": hex}.
inline constexpr const char* judges_collection = "judges";
/// Of all healthy deployments so many may be rolled back by comparisons.
inline constexpr double false_alarms_of_deployment = 0.005;

/// Answers gates of kind compare: takes what hosts said, asks Prometheus where a metric has a
/// query, has the judge look, and keeps the judge in the store before its answer counts, so that a
/// restart goes on where it was. What cannot be asked or kept holds.
///
/// Threads: the io thread; asks and writes on `pool`.
class Comparer {
public:
    struct Options {
        Store* store = nullptr;
        std::function<std::uint64_t()> epoch; ///< Of this term: fences what is kept.
        /// Asks the server of a gate. Called on `pool`, by several threads.
        std::function<MetricReading(const GateSpec& gate, const std::string& query)> query;
        std::function<std::int64_t()> now_unix_ms;
    };
    using Answered = std::function<void(GateAnswer)>;
    Comparer(net::io_context& io, net::thread_pool& pool, Options options);

    [[nodiscard]] MetricBoard& board() { return board_; }
    /// `answered` is called on the io thread, later.
    void ask(const AskGate& gate, Answered answered);
    /// A term begins: what other orchestrators kept counts.
    void begin();
    /// A deployment's batch is over, and its judges.
    void forget(const std::string& deployment);

private:
    struct Judge;
    [[nodiscard]] GateAnswer look(Judge& judge, const AskGate& gate, const std::string& key,
                                  std::vector<judge::Reading> readings, std::uint64_t epoch) const;
    [[nodiscard]] Result<> load(Judge& judge, const std::string& key) const;
    [[nodiscard]] Result<> keep(const Judge& judge, const std::string& key,
                                std::uint64_t epoch) const;
    void add_queried(const Judge& judge, const AskGate& gate,
                     std::vector<judge::Reading>& readings) const;

    net::io_context& io_;
    net::thread_pool& pool_;
    Options options_;
    MetricBoard board_;
    std::map<std::string, std::shared_ptr<Judge>> judges_;
};

} // namespace slipway::orchestrator
