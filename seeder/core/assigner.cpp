#include "seeder/core/assigner.h"

#include <algorithm>
#include <set>
#include <utility>

namespace slipway::seeder {

Assigner::Assigner(AssignerOptions options, ZoneMap zones, std::uint64_t seed)
    : options_(options), zones_(std::move(zones)), seed_(seed) {}

void Assigner::add_swarm(const std::string& hash) {
    if (swarm_numbers_.contains(hash)) {
        return;
    }
    const auto number = next_swarm_++;
    swarm_numbers_.emplace(hash, number);
    // Each swarm its own graph: the same neighbours in all would share their bad luck.
    constexpr std::uint64_t odd = 0x9E3779B97F4A7C15ULL;
    swarms_.emplace(number, Swarm{SwarmGraph(options_.graph, seed_ + odd * (number + 1)), {}});
}

void Assigner::remove_swarm(const std::string& hash) {
    const auto found = swarm_numbers_.find(hash);
    if (found == swarm_numbers_.end()) {
        return;
    }
    const auto number = found->second;
    swarm_numbers_.erase(found);
    swarms_.erase(number);
    for (auto& session : sessions_) {
        if (session.nodes.erase(number) > 0) {
            --memberships_;
            ++session.generation;
            woken_.push_back(session.key);
        }
    }
}

Assigner::Session* Assigner::find_or_enter(const api::SwarmCall& call, const std::string& ip) {
    const auto key = key_of(call, ip);
    if (const auto found = by_key_.find(key); found != by_key_.end()) {
        return &sessions_[found->second];
    }
    if (by_key_.size() >= options_.sessions_max) {
        return nullptr;
    }
    const auto peer = api::peer_text(ip, call.port);
    if (const auto before = by_peer_.find(peer); before != by_peer_.end()) {
        drop(before->second); // The same agent before its restart.
    }
    if (free_.empty()) {
        free_.push_back(static_cast<SessionNumber>(sessions_.size()));
        sessions_.emplace_back();
    }
    const auto number = free_.back();
    free_.pop_back();
    by_key_.emplace(key, number);
    by_peer_.emplace(peer, number);
    auto& session = sessions_[number];
    session.key = key;
    session.peer = peer;
    session.place = zones_.place(call.region, call.zone, ip);
    return &session;
}

api::SwarmAnswer Assigner::call(const api::SwarmCall& call, const std::string& ip, TimePoint now) {
    auto* const session = find_or_enter(call, ip);
    if (session == nullptr) {
        return {.generation = 0, .call = options_.call_idle, .swarms = {}};
    }
    const auto number = number_of(*session);
    session->forget_at = now + call.wait + options_.silence_max;
    std::set<std::uint32_t> named;
    for (const auto& report : call.swarms) {
        if (const auto swarm = swarm_numbers_.find(report.swarm); swarm != swarm_numbers_.end()) {
            named.insert(swarm->second);
            take(number, report);
        }
    }
    std::vector<std::uint32_t> left;
    for (const auto& [swarm, node] : sessions_[number].nodes) {
        if (!named.contains(swarm)) {
            left.push_back(swarm);
        }
    }
    for (const auto swarm : left) {
        leave(number, swarm);
    }
    return orders(call, ip);
}

void Assigner::take(SessionNumber number, const api::SwarmReport& report) {
    const auto swarm_number = swarm_numbers_.at(report.swarm);
    auto& swarm = swarms_.at(swarm_number);
    auto& session = sessions_[number];
    auto place = session.nodes.find(swarm_number);
    if (place == session.nodes.end()) {
        const auto node = swarm.graph.join(session.place, report.lacks == 0);
        if (swarm.owner.size() <= node) {
            swarm.owner.resize(node + 1UL);
        }
        swarm.owner[node] = number;
        place = session.nodes.emplace(swarm_number, node).first;
        ++memberships_;
    } else if (report.lacks == 0) {
        swarm.graph.finish(place->second);
    } else {
        swarm.graph.resume(place->second);
    }
    const auto node = place->second;
    for (const auto& peer : report.bad) {
        const auto other = by_peer_.find(peer);
        if (other == by_peer_.end()) {
            continue;
        }
        const auto& nodes = sessions_[other->second].nodes;
        if (const auto there = nodes.find(swarm_number); there != nodes.end()) {
            swarm.graph.replace(node, there->second);
        }
    }
    if (report.starving) {
        swarm.graph.starving(node);
    }
    pass_on(swarm);
}

// Hosts whose edges changed are woken.
void Assigner::pass_on(Swarm& swarm) {
    auto changed = swarm.graph.take_changed();
    std::ranges::sort(changed);
    changed.erase(std::ranges::unique(changed).begin(), changed.end());
    for (const auto node : changed) {
        if (swarm.graph.present(node) && node < swarm.owner.size()) {
            auto& session = sessions_[swarm.owner[node]];
            ++session.generation;
            woken_.push_back(session.key);
        }
    }
}

void Assigner::leave(SessionNumber number, std::uint32_t swarm_number) {
    auto& session = sessions_[number];
    const auto place = session.nodes.find(swarm_number);
    auto& swarm = swarms_.at(swarm_number);
    swarm.graph.leave(place->second);
    session.nodes.erase(place);
    --memberships_;
    ++session.generation;
    pass_on(swarm);
}

void Assigner::drop(SessionNumber number) {
    while (!sessions_[number].nodes.empty()) {
        leave(number, sessions_[number].nodes.begin()->first);
    }
    auto& session = sessions_[number];
    by_key_.erase(session.key);
    by_peer_.erase(session.peer);
    session = {};
    free_.push_back(number);
}

void Assigner::expire(TimePoint now) {
    constexpr std::chrono::seconds look_interval{1};
    if (now - expired_at_ < look_interval) {
        return;
    }
    expired_at_ = now;
    for (SessionNumber number = 0; number < sessions_.size(); ++number) {
        if (!sessions_[number].key.empty() && sessions_[number].forget_at <= now) {
            drop(number);
        }
    }
}

std::vector<std::string> Assigner::take_woken() {
    return std::exchange(woken_, {});
}

api::SwarmAnswer Assigner::orders(const api::SwarmCall& call, const std::string& ip) const {
    api::SwarmAnswer answer{.generation = 0, .call = options_.call_idle, .swarms = {}};
    const auto found = by_key_.find(key_of(call, ip));
    if (found == by_key_.end()) {
        return answer;
    }
    const auto& session = sessions_[found->second];
    answer.generation = session.generation;
    for (const auto& report : call.swarms) {
        api::SwarmOrders orders{.swarm = report.swarm, .dial = {}, .expect = {}};
        const auto number = swarm_numbers_.find(report.swarm);
        const auto node = number == swarm_numbers_.end() ? session.nodes.end()
                                                         : session.nodes.find(number->second);
        orders.known = node != session.nodes.end();
        if (orders.known) {
            const auto& swarm = swarms_.at(number->second);
            orders.source = swarm.graph.first_tier(node->second);
            for (const auto& edge : swarm.graph.edges(node->second)) {
                auto& list = edge.dials ? orders.dial : orders.expect;
                if (list.size() < api::assigned_peers_max) {
                    list.push_back(sessions_[swarm.owner[edge.to]].peer);
                }
            }
        }
        if (report.lacks > 0) {
            answer.call = options_.call_fetching;
        }
        answer.swarms.push_back(std::move(orders));
    }
    return answer;
}

} // namespace slipway::seeder
