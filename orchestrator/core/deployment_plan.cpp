#include "orchestrator/core/deployment_plan.h"

#include <algorithm>
#include <cstring>
#include <random>

#include "common/core/errc.h"
#include "common/core/sha256.h"

namespace slipway::orchestrator {
namespace {

using Random = std::mt19937_64; // The standard fixes its numbers: every build draws the same.

class Digest {
public:
    void add(std::string_view text) {
        const auto size = std::to_string(text.size()) + ":"; // No two inputs give one text.
        hash_.update(as_bytes(size));
        hash_.update(as_bytes(text));
    }
    void add(const std::optional<Release>& release) {
        add(release ? release->artifact.text() : "");
        add(release && release->digest ? release->digest->hex() : "");
        add(std::to_string(release ? release->attempt : 0));
    }
    Sha256Digest finish() { return hash_.finish(); }

private:
    Sha256 hash_;
};

Sha256Digest digest_of(const PlanInput& input) {
    Digest digest;
    digest.add("slipway plan 1");
    digest.add(input.key.service);
    digest.add(input.key.environment);
    digest.add(input.from);
    digest.add(std::optional(input.to));
    digest.add(encode_strategy(input.strategy));
    for (const auto& [host, labels] : input.hosts) {
        digest.add(host);
        digest.add(label_of(labels, input.strategy.domain));
        digest.add(label_of(labels, input.strategy.wave_label));
    }
    return digest.finish();
}

// std::shuffle may differ between standard libraries; this does not.
void shuffle(std::vector<std::string>& hosts, Random& random) {
    for (std::size_t i = hosts.size(); i > 1; --i) {
        std::swap(hosts[i - 1], hosts[random() % i]);
    }
}

// Hosts of each wave, in the order of waves.
std::vector<std::pair<std::string, std::vector<std::string>>> waves_of(const PlanInput& input) {
    std::vector<std::pair<std::string, std::vector<std::string>>> waves;
    if (input.strategy.waves.empty()) {
        waves.emplace_back();
        for (const auto& [host, labels] : input.hosts) {
            waves.front().second.push_back(host);
        }
        return waves;
    }
    std::map<std::string, std::vector<std::string>> by_label;
    for (const auto& [host, labels] : input.hosts) {
        by_label[label_of(labels, input.strategy.wave_label)].push_back(host);
    }
    for (const auto& name : input.strategy.waves) {
        if (const auto found = by_label.find(name); found != by_label.end()) {
            waves.emplace_back(name, std::move(found->second));
            by_label.erase(found);
        }
    }
    for (auto& [name, hosts] : by_label) {
        waves.emplace_back(name.empty() ? "other" : name, std::move(hosts));
    }
    return waves;
}

// Host number i of a domain of n stands at (i + 1/2) / n: domains interleave in proportion.
std::vector<std::string> striped(const PlanInput& input, const std::vector<std::string>& hosts,
                                 Random& random) {
    std::map<std::string, std::vector<std::string>> domains;
    for (const auto& host : hosts) {
        domains[label_of(input.hosts.at(host), input.strategy.domain)].push_back(host);
    }
    struct Place {
        double at;
        std::uint64_t tie;
        std::string host;
    };
    std::vector<Place> places;
    places.reserve(hosts.size());
    for (auto& [name, members] : domains) {
        shuffle(members, random);
        const auto tie = random(); // Which domain goes first is drawn, too.
        for (std::size_t i = 0; i < members.size(); ++i) {
            const double at = (static_cast<double>(i) + 0.5) / static_cast<double>(members.size());
            places.push_back({at, tie, members[i]});
        }
    }
    std::ranges::sort(places, [](const Place& a, const Place& b) {
        return std::tie(a.at, a.tie, a.host) < std::tie(b.at, b.tie, b.host);
    });
    std::vector<std::string> order;
    order.reserve(places.size());
    for (auto& place : places) {
        order.push_back(std::move(place.host));
    }
    return order;
}

// How many hosts of a wave of `total` are moved when each batch ends.
std::vector<std::size_t> ends_of(const Strategy& strategy, std::size_t total) {
    std::vector<std::size_t> ends;
    if (strategy.kind == StrategyKind::rolling) {
        const auto batch = strategy.steps.front().at_least_one_of(total);
        for (std::size_t end = batch; end < total; end += batch) {
            ends.push_back(end);
        }
        ends.push_back(total);
        return ends;
    }
    for (const auto& step : strategy.steps) {
        ends.push_back(step.at_least_one_of(total));
    }
    ends.back() = total;
    return ends;
}

// As many hosts of each domain as the canary has, from the end of the order; fewer if there are
// fewer.
std::vector<std::string> baseline_of(const PlanInput& input, const std::vector<std::string>& order,
                                     std::size_t moved, const std::vector<std::string>& canary) {
    std::map<std::string, std::size_t> wanted;
    for (const auto& host : canary) {
        ++wanted[label_of(input.hosts.at(host), input.strategy.domain)];
    }
    std::vector<std::string> baseline;
    for (std::size_t i = order.size(); i > moved; --i) {
        auto& left = wanted[label_of(input.hosts.at(order[i - 1]), input.strategy.domain)];
        if (left > 0) {
            --left;
            baseline.push_back(order[i - 1]);
        }
    }
    return baseline;
}

// The gates of the steps from `first` to `last`: those of a step that a small fleet has no hosts
// for are not dropped.
std::vector<std::uint32_t> gates_of(const Strategy& strategy, const Batch& batch,
                                    std::uint32_t first, std::uint32_t last) {
    std::vector<std::uint32_t> gates;
    for (std::uint32_t i = 0; i < strategy.gates.size(); ++i) {
        const auto& gate = strategy.gates[i];
        bool applies = false;
        for (auto step = first; step <= last; ++step) {
            applies = applies || gate.applies_to(step);
        }
        // When no host is left on the old release, there is nothing to compare with.
        if (applies && (gate.kind != GateKind::compare || !batch.baseline.empty())) {
            gates.push_back(i);
        }
    }
    return gates;
}

bool compares(const Strategy& strategy) {
    return std::ranges::any_of(strategy.gates,
                               [](const GateSpec& gate) { return gate.kind == GateKind::compare; });
}

} // namespace

Result<DeploymentPlan> make_plan(const PlanInput& input) {
    if (input.hosts.empty()) {
        return fail(Errc::usage, input.key.text() + " has no hosts: no host that the orchestrator"
                                                    " knows has the labels of its selector");
    }
    const auto digest = digest_of(input);
    DeploymentPlan plan{
        digest.hex().substr(0, 32), input.key, input.from, input.to, input.strategy, {}};
    std::uint64_t seed = 0;
    std::memcpy(&seed, digest.bytes.data(), sizeof seed);
    Random random(seed);
    for (const auto& [wave, hosts] : waves_of(input)) {
        const auto order = striped(input, hosts, random);
        std::size_t moved = 0;
        std::uint32_t step = 0;
        std::uint32_t first = 1; // Step that is not covered by a batch yet.
        const auto ends = ends_of(input.strategy, order.size());
        for (const auto end : ends) {
            ++step;
            if (end <= moved) {
                continue; // 1 % of a small fleet is no more than its first host.
            }
            Batch batch;
            batch.wave = wave;
            batch.step = step;
            const auto at = [&](std::size_t i) {
                return order.begin() + static_cast<std::ptrdiff_t>(i);
            };
            batch.hosts.assign(at(moved), at(end));
            moved = end;
            if (compares(input.strategy)) {
                batch.canary.assign(order.begin(), at(std::min(end, compared_hosts_max)));
                batch.baseline = baseline_of(input, order, end, batch.canary);
            }
            const auto last =
                moved == order.size() ? static_cast<std::uint32_t>(ends.size()) : step;
            batch.gates = gates_of(input.strategy, batch, first, last);
            first = last + 1;
            plan.batches.push_back(std::move(batch));
        }
    }
    return plan;
}

} // namespace slipway::orchestrator
