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
    /// Where the hosts of the present batch and of those before stand.
    struct Turn {
        std::vector<std::string> candidates; ///< May be ordered to run the release.
        std::size_t open = 0;                ///< Under way, or not heard of yet.
        std::size_t absent = 0;              ///< Offline or without the bytes, untouched.
        std::size_t vanished = 0;            ///< Offline since they got the release.
        std::size_t touched = 0;
        std::size_t hosts = 0;
        std::size_t ready = 0; ///< There and ready with the release.
    };
    [[nodiscard]] Turn turn_of(const Deployment& d) const;
    [[nodiscard]] static std::string shortage_of(const Deployment& d, const Turn& turn);
    bool order(Deployment& d, const Turn& turn);
    [[nodiscard]] bool bake_is_over(const Deployment& d) const;
    [[nodiscard]] std::int64_t waits_since(const HostProgress& part, const std::string& host) const;
    [[nodiscard]] static std::string promoter_of(const Deployment& d);
    void ask_gates(Deployment& d);
    void ask(Deployment& d, const GateSpec& gate);
    void pass(Deployment& d, const std::string& by);
    void roll_back(Deployment& d, const std::string& cause, std::string by, bool quarantine,
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
/// Whether it was present or lost since this orchestrator began.
[[nodiscard]] bool was_heard_of(const FleetState& state, const std::string& host);
/// Whether the host's report is of this term and of its last order of the deployment: an older one
/// says nothing about how it took that order.
[[nodiscard]] bool has_obeyed(const FleetState& state, const HostProgress& part,
                              const std::string& host);
/// Runs it and is ready.
[[nodiscard]] bool is_well(const FleetState& state, const Deployment& d, const std::string& host,
                           const Release& release);
[[nodiscard]] std::string failure_of(const FleetState& state, const Deployment& d,
                                     const std::string& host);
[[nodiscard]] bool has_staged(const FleetState& state, const Deployment& d,
                              const std::string& host);
/// The release with the attempt that hosts have not tried yet.
[[nodiscard]] Release next_attempt(const Environment& environment, Release release, bool retry);

} // namespace slipway::orchestrator
