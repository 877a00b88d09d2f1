#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

namespace slipway::orchestrator {

/// Tells which hosts are gone, from when they were heard of last. Pure.
///
/// A host owes its next request from the moment that it was answered: whoever is not heard of for
/// `patience` after its answer is lost. While a request of it waits here, it owes nothing; it may
/// have several at once.
///
/// Nobody is lost because this side was not listening: when check() comes late (this process
/// stalled, was stopped, or has just begun), every host gets `grace` from then on.
class Liveness {
public:
    using TimePoint = std::chrono::steady_clock::time_point;
    using Milliseconds = std::chrono::milliseconds;
    struct Limits {
        Milliseconds patience{1'500}; ///< Agents ask again at once; the rest is for the network.
        Milliseconds grace{10'000};   ///< Agents that lost their connection back off before.
        Milliseconds check_late{500}; ///< Between two calls of check() that are in time.
    };
    explicit Liveness(Limits limits, TimePoint now);

    /// A host that should be there, though nothing was heard of it since this process began.
    void expect(const std::string& host);
    void forget(const std::string& host);
    /// The host's request came, and will be answered by `answer_by` at the latest. Returns whether
    /// it was lost or not known.
    bool heard(const std::string& host, TimePoint answer_by);
    /// A request of the host was answered, or is over: once for each heard().
    void answered(const std::string& host, TimePoint now);

    /// Those that are lost since the last call, in no order. To be called every 100 ms or so.
    [[nodiscard]] std::vector<std::string> check(TimePoint now);
    [[nodiscard]] bool is_lost(const std::string& host) const;

private:
    struct Entry {
        TimePoint owes_from; ///< With requests that wait here: when the last of them is answered.
        std::size_t waiting = 0;
        bool lost = false;
        bool ever_heard = false;
    };
    Limits limits_;
    TimePoint checked_;
    TimePoint quiet_until_;
    std::unordered_map<std::string, Entry> hosts_;
};

} // namespace slipway::orchestrator
