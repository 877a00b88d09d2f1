#pragma once

#include <set>
#include <string>
#include <vector>

#include "orchestrator/core/machine.h"
#include "tests/sim/orchestrator/mutation.h"
#include "tests/sim/orchestrator/random.h"

namespace slipway::sim {

using namespace slipway::orchestrator;

/// How a release behaves, wherever it runs.
enum class Nature { good, fails_probe, crashes_later, degrades };

/// A host with its agent, as docs/agent.md promises it: level-triggered, refuses older epochs and
/// generations, goes back by itself from a release whose probe fails, keeps all that on its disk.
class SimHost {
public:
    SimHost(std::string name, Labels labels) : name_(std::move(name)), labels_(std::move(labels)) {}

    /// An order came in. Gives what promise was broken, or "".
    std::string obey(const OrderHost& order, Mutation mutation);
    /// Time passes. `nature` of the release that runs or starts.
    void run(std::int64_t now, Random& random, const std::map<std::string, Nature>& natures);
    [[nodiscard]] HostReport report() const;

    void crash(std::int64_t back_at) {
        down_until_ = back_at;
        ready_ = false;
        busy_until_ = 0;
    }
    void reimage() { // The disk is another one; what the orchestrator knows of it is not true.
        running_.reset();
        staged_.clear();
        bad_.clear();
        want_ = {};
        epoch_ = generation_ = 0;
        applied_.clear();
    }
    void flap(bool is_unready) { is_flapping_ = is_unready; }
    [[nodiscard]] bool is_up(std::int64_t now) const { return now >= down_until_; }
    [[nodiscard]] bool runs(const Release& release) const {
        return running_ && same_bytes(*running_, release) && ready_;
    }
    [[nodiscard]] bool is_bad(const Release& release) const;
    [[nodiscard]] const std::string& name() const { return name_; }
    [[nodiscard]] const std::optional<Release>& running() const { return running_; }

private:
    std::string name_;
    Labels labels_;
    std::uint64_t epoch_ = 0, generation_ = 0;
    std::set<std::pair<std::uint64_t, std::uint64_t>> applied_;
    api::ServiceDesired want_;
    std::optional<Release> running_;
    std::optional<Release> starting_;
    std::set<std::string> staged_; ///< Hexadecimal digests.
    std::vector<ServiceReport::Bad> bad_;
    bool ready_ = false;
    std::uint64_t boots_ = 0, crashes_ = 0;
    std::int64_t down_until_ = 0, busy_until_ = 0, stage_at_ = 0;
    bool was_down_ = false, is_flapping_ = false;
};

} // namespace slipway::sim
