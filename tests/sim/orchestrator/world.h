#pragma once

#include <functional>
#include <map>
#include <memory>
#include <queue>
#include <string>
#include <vector>

#include "tests/sim/orchestrator/checker.h"
#include "tests/sim/orchestrator/host.h"

namespace slipway::sim {

struct Tally {
    std::uint64_t deployments = 0, succeeded = 0, rolled_back = 0, failed = 0;
    std::uint64_t records = 0, orders = 0, faults = 0, terms = 0;
};

/// A fleet, a network, a database and two orchestrators, all from one seed: the machine is the real
/// one, the rest is simulated. The first broken promise ends the run.
class World {
public:
    World(std::uint64_t seed, Mutation mutation, bool is_talking);
    /// "" or the broken promise.
    std::string run(Tally& tally);

private:
    struct Process { ///< An orchestrator.
        bool is_up = true, is_driving = false;
        std::int64_t down_until = 0, stalled_until = 0, started = 0;
        std::uint64_t epoch = 0;
        std::size_t position = 0;
        FleetState state;
        View view;
        std::map<std::string, std::int64_t> heard;
        std::vector<Logged> records; ///< Decided, and not durable.
        std::vector<Command> commands;
    };
    struct Message {
        std::int64_t at = 0;
        std::uint64_t order = 0;
        std::function<void()> arrive;
        bool operator<(const Message& other) const {
            return std::tie(other.at, other.order) < std::tie(at, order);
        }
    };

    void tick();
    void drive(std::size_t index);
    void take_lease(Process& process, std::size_t index);
    void commit(std::size_t index);
    void send(std::size_t index, std::vector<Command> commands);
    void send_order(const OrderHost& order);
    void answer_gate(std::size_t index, const AskGate& ask);
    Result<std::string> give(Process& process, const Event& event);
    void mutate(Process& process, const Event& event);
    void hosts_report();
    void faults();
    void people();
    void help(Process& process);
    void post(std::int64_t delay, std::function<void()> arrive);
    void post_lossy(bool to_host, const std::string& host, const std::function<void()>& arrive);
    [[nodiscard]] Strategy some_strategy();
    [[nodiscard]] Process* driver();
    [[nodiscard]] std::string check_end();
    [[nodiscard]] Instant now() const { return {wall_ + now_, now_}; }
    void say(const std::string& line) const;

    Random random_;
    Mutation mutation_;
    bool is_talking_;
    std::string violation_;
    Checker checker_{&violation_};
    Tally tally_;
    std::int64_t now_ = 0, wall_ = 1'700'000'000'000;
    bool is_calm_ = false; ///< Faults have ended.
    std::map<std::string, SimHost> hosts_;
    std::map<std::string, Nature> natures_;
    std::vector<Logged> log_;
    FleetState durable_; ///< The log, applied.
    std::uint64_t lease_ = 0;
    std::int64_t lease_until_ = 0;
    std::size_t holder_ = 0;
    std::vector<Process> processes_{2};
    std::priority_queue<Message> network_;
    std::uint64_t messages_ = 0;
    std::map<std::string, std::int64_t> deaf_, mute_; ///< One-way partitions, by host: until.
    std::int64_t no_metrics_until_ = 0;
    int versions_ = 0;
};

} // namespace slipway::sim
