#pragma once

#include <map>
#include <set>
#include <string>

#include "orchestrator/core/machine.h"

namespace slipway::sim {

using namespace slipway::orchestrator;

/// What one orchestrator was told, for an account of availability of the checker's own.
struct View {
    struct Told {
        bool is_present = false;
        HostReport report;
    };
    std::map<std::string, Told> hosts;
};

/// Holds what the machine decides against the promises. Knows the log, what gates truly answered
/// and what hosts truly said; shares no rule with the machine but the records' meaning.
class Checker {
public:
    explicit Checker(std::string* violation) : violation_(violation) {}

    /// A record that an orchestrator decided, in order, before it is durable. `view` is its own.
    void decided(const Logged& logged, const View& view);
    /// Another orchestrator goes on from what is durable.
    void restarted(const std::vector<Logged>& log);

    /// A gate's answer as it left its source.
    void answered(const AskGate& ask, GateVerdict verdict, bool is_final);
    void broke(const std::string& what) {
        if (violation_->empty()) {
            *violation_ = what;
        }
    }

private:
    struct Move {
        std::optional<Release> from;
        Release to;
        Strategy strategy;
        std::vector<Batch> batches;
        std::map<std::string, HostStep> hosts;
        std::uint32_t batch = 0;
        std::int64_t baking_since = 0;
        bool paused = false, promoted = false, emergency = false;
        bool is_going_back = false, is_over = false;
        std::set<std::string> approved;
    };
    void look(const Logged& logged, const View* view);
    void check_budget(const Move& move, const std::vector<std::string>& ordered, const View& view);
    void check_passed(const std::string& id, const Move& move, const BatchPassed& passed,
                      std::int64_t clock);
    void check_forward(const Move& move, const char* what);

    std::string* violation_;
    std::map<std::string, Labels> hosts_;
    std::map<std::string, Move> moves_;
    std::set<std::string> freezes_;
    std::optional<Release> good_;
    std::string active_;
    std::set<std::string> passes_; ///< "deployment/batch/gate": truly, when the bake was over.
    std::set<std::string> fails_;  ///< Deployments for which a gate truly failed.
};

} // namespace slipway::sim
