#pragma once

// What the machine's files share; included by them only.

#include <set>
#include <string>
#include <vector>

#include "orchestrator/core/machine.h"

namespace slipway::orchestrator {

/// One call of step(): records are applied as they are decided, commands are gathered.
class Step {
public:
    Step(FleetState& state, Instant now);

    void operator()(const Started& event);
    void operator()(const Tick& event);
    void operator()(const HostReport& event);
    void operator()(const HostLost& event);
    void operator()(const GateSaid& event);
    void operator()(const Deploy& event);
    void operator()(const Pause& event);
    void operator()(const Resume& event);
    void operator()(const Promote& event);
    void operator()(const Abort& event);
    void operator()(const Approve& event);
    void operator()(const RollBack& event);
    void operator()(const PutFreeze& event);
    void operator()(const RemoveFreeze& event);
    void operator()(const PutEnvironment& event);
    void operator()(const ForgetHost& event);

    [[nodiscard]] Outcome finish();

private:
    void emit(Record record);
    void refuse(std::error_code code, std::string why);
    void notify(const Deployment& deployment, const std::string& kind, const std::string& text);
    [[nodiscard]] Deployment* active(const std::string& id);
    /// A deployment that goes forward, for a request of a person; else a refusal.
    [[nodiscard]] Deployment* forward(const std::string& id);

    // One deployment: what it does next, as far as it can go now.
    void advance(const std::string& id);
    void stage(Deployment& d);
    void look_at_hosts(Deployment& d);
    [[nodiscard]] bool has_failed(Deployment& d);
    void move(Deployment& d);
    void bake(Deployment& d);
    void pause(Deployment& d);
    void go_back(Deployment& d);
    [[nodiscard]] std::vector<std::string>
    within_budget(const Deployment& d, const std::vector<std::string>& hosts, bool everything);
    void ask(Deployment& d, const GateSpec& gate);
    void pass(Deployment& d, const std::string& by);
    void roll_back(Deployment& d, std::string cause, std::string by, bool quarantine,
                   bool emergency);
    [[nodiscard]] std::int64_t since(const Deployment& d) const;

    FleetState& state_;
    Durable& log_;
    Seen& seen_;
    Instant now_;
    Outcome outcome_;
};

/// A host's report of the deployment's service; null: none was seen since this orchestrator began.
[[nodiscard]] const ServiceReport* report_of(const FleetState& state, const std::string& host,
                                             const std::string& service);
[[nodiscard]] bool is_present(const FleetState& state, const std::string& host);
[[nodiscard]] bool runs(const ServiceReport* report, const Release& release);
/// Runs it, is ready, and says so of this term's order.
[[nodiscard]] bool is_well(const FleetState& state, const Deployment& d, const std::string& host,
                           const Release& release);
[[nodiscard]] std::string failure_of(const FleetState& state, const Deployment& d,
                                     const std::string& host);
[[nodiscard]] bool has_staged(const FleetState& state, const Deployment& d,
                              const std::string& host);
/// The release with the attempt that hosts have not tried yet.
[[nodiscard]] Release next_attempt(const Environment& environment, Release release, bool retry);

} // namespace slipway::orchestrator
