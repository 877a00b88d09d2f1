#include "seeder/core/swarm_graph.h"

#include <algorithm>
#include <cassert>
#include <utility>

namespace slipway::seeder {
namespace {

// A random edge may be unfit; with so many draws one that fits is found, or there is hardly any.
constexpr int draws_max = 8;

} // namespace

SwarmGraph::SwarmGraph(GraphOptions options, std::uint64_t seed)
    : options_(options), random_(seed | 1U) {}

// xorshift64*: enough to spread edges evenly, and the same everywhere.
std::uint64_t SwarmGraph::random_below(std::uint64_t bound) {
    random_ ^= random_ >> 12U;
    random_ ^= random_ << 25U;
    random_ ^= random_ >> 27U;
    return random_ * 0x2545F4914F6CDD1DULL % bound;
}

std::vector<SwarmGraph::Node> SwarmGraph::take_changed() {
    return std::exchange(changed_, {});
}

SwarmGraph::Node SwarmGraph::new_node() {
    if (free_.empty()) {
        nodes_.emplace_back();
        return static_cast<Node>(nodes_.size() - 1);
    }
    const auto node = free_.back();
    free_.pop_back();
    nodes_[node] = {};
    return node;
}

std::vector<SwarmGraph::Node>& SwarmGraph::list_of(const Member& member) {
    auto& zone = zones_.at(member.zone);
    return member.complete ? zone.done : zone.lacking;
}

void SwarmGraph::enlist(Node node) {
    auto& list = list_of(nodes_[node]);
    nodes_[node].place = static_cast<std::uint32_t>(list.size());
    list.push_back(node);
}

void SwarmGraph::delist(Node node) {
    auto& list = list_of(nodes_[node]);
    const auto place = nodes_[node].place;
    list[place] = list.back();
    nodes_[list[place]].place = place;
    list.pop_back();
    nodes_[node].place = nowhere;
}

bool SwarmGraph::linked(Node a, Node b) const {
    return std::ranges::any_of(nodes_[a].edges, [b](const Edge& edge) { return edge.to == b; });
}

void SwarmGraph::link(Node dialer, Node other, bool long_link) {
    assert(dialer != other && !linked(dialer, other));
    nodes_[dialer].edges.push_back({other, true, long_link});
    nodes_[other].edges.push_back({dialer, false, long_link});
    if (long_link) {
        for (const auto end : {dialer, other}) {
            ++nodes_[end].long_links;
            ++zones_.at(nodes_[end].zone).long_links;
        }
    }
    changed_.push_back(dialer);
    changed_.push_back(other);
}

void SwarmGraph::unlink(Node a, Node b) {
    const auto forget = [this](Node from, Node to) {
        auto& edges = nodes_[from].edges;
        const auto it = std::ranges::find(edges, to, &Edge::to);
        if (it->long_link) {
            --nodes_[from].long_links;
            --zones_.at(nodes_[from].zone).long_links;
        }
        *it = edges.back();
        edges.pop_back();
        changed_.push_back(from);
    };
    forget(a, b);
    forget(b, a);
}

// Edges inside its zone that a host may still get.
std::uint32_t SwarmGraph::spare(Node node) const {
    const auto inside =
        static_cast<std::uint32_t>(nodes_[node].edges.size()) - nodes_[node].long_links;
    return inside >= options_.degree ? 0 : options_.degree - inside;
}

SwarmGraph::Node SwarmGraph::random_of(const std::vector<Node>& nodes) {
    return nodes[random_below(nodes.size())];
}

SwarmGraph::Node SwarmGraph::join(Place place, bool complete) {
    const auto node = new_node();
    auto& member = nodes_[node];
    member.present = true;
    member.complete = complete;
    member.zone = place.zone;
    auto [zone, fresh] = zones_.try_emplace(place.zone);
    if (fresh) {
        zone->second.region = place.region;
        regions_[place.region].zones.push_back(place.zone);
    }
    member.region = zone->second.region;
    ++present_;
    complete_ += complete ? 1 : 0;
    changed_.push_back(node);
    enlist(node);
    fill(node);
    keep_long_links(member.zone);
    give_first_tier(nodes_[node].region);
    return node;
}

// Gives a host the edges that it has room for. A host that has everything gets none of its own
// accord: those that lack something come to it.
void SwarmGraph::fill(Node node) {
    const auto& lacking = zones_.at(nodes_[node].zone).lacking;
    if (nodes_[node].complete) {
        const auto looks = std::min<std::size_t>(lacking.size(), options_.degree * 4UL);
        for (std::size_t i = 0; i < looks && spare(node) > 0; ++i) {
            const auto other = random_of(lacking);
            if (spare(other) > 0 && !linked(node, other)) {
                link(other, node, false);
            }
        }
        return;
    }
    if (lacking.size() <= options_.degree + 1UL) {
        for (const auto other : lacking) {
            if (other != node && spare(other) > 0 && !linked(node, other)) {
                link(node, other, false);
            }
        }
    }
    for (int draw = 0; draw < draws_max && spare(node) >= 2; ++draw) {
        while (spare(node) >= 2 && split_random_edge(node)) {
        }
    }
    while (spare(node) > 0 && link_to_done(node)) {
    }
    for (int draw = 0; draw < draws_max && spare(node) > 0; ++draw) {
        const auto other = random_of(lacking);
        if (other != node && spare(other) > 0 && !linked(node, other)) {
            link(node, other, false);
        }
    }
}

// The host steps between the two ends of an edge of two others.
bool SwarmGraph::split_random_edge(Node node) {
    const auto& lacking = zones_.at(nodes_[node].zone).lacking;
    for (int draw = 0; draw < draws_max; ++draw) {
        const auto one = random_of(lacking);
        if (one == node || nodes_[one].edges.empty() || linked(one, node)) {
            continue;
        }
        const auto edge = nodes_[one].edges[random_below(nodes_[one].edges.size())];
        if (edge.long_link || edge.to == node || linked(edge.to, node) ||
            nodes_[edge.to].complete) {
            continue;
        }
        unlink(one, edge.to);
        link(node, one, false);
        link(node, edge.to, false);
        return true;
    }
    return false;
}

bool SwarmGraph::link_to_done(Node node) {
    const auto& done = zones_.at(nodes_[node].zone).done;
    for (int draw = 0; draw < draws_max && !done.empty(); ++draw) {
        const auto other = random_of(done);
        if (other != node && spare(other) > 0 && !linked(node, other)) {
            link(node, other, false);
            return true;
        }
    }
    return false;
}

void SwarmGraph::finish(Node node) {
    if (!present(node) || nodes_[node].complete) {
        return;
    }
    delist(node);
    nodes_[node].complete = true;
    ++complete_;
    enlist(node);
    take_first_tier(node);
    const auto edges = nodes_[node].edges;
    for (const auto& edge : edges) {
        if (nodes_[edge.to].complete && !edge.long_link) {
            unlink(node, edge.to);
        }
    }
    give_first_tier(nodes_[node].region);
}

void SwarmGraph::resume(Node node) {
    if (!present(node) || !nodes_[node].complete) {
        return;
    }
    delist(node);
    nodes_[node].complete = false;
    --complete_;
    enlist(node);
    changed_.push_back(node);
    fill(node);
    give_first_tier(nodes_[node].region);
}

void SwarmGraph::leave(Node node) {
    if (!present(node)) {
        return;
    }
    take_first_tier(node);
    const auto edges = nodes_[node].edges;
    std::vector<Node> ends;
    for (const auto& edge : edges) {
        unlink(node, edge.to);
        if (!edge.long_link && !nodes_[edge.to].complete) {
            ends.push_back(edge.to);
        }
    }
    delist(node);
    auto& member = nodes_[node];
    const auto zone = member.zone;
    const auto region = member.region;
    member.present = false;
    --present_;
    complete_ -= member.complete ? 1 : 0;
    free_.push_back(node);
    mend(ends);
    if (zones_.at(zone).size() == 0) {
        zones_.erase(zone);
        auto& zones = regions_.at(region).zones;
        std::erase(zones, zone);
        if (zones.empty()) {
            regions_.erase(region);
            return;
        }
    } else {
        keep_long_links(zone);
    }
    for (const auto& edge : edges) {
        if (edge.long_link && present(edge.to)) {
            keep_long_links(nodes_[edge.to].zone);
        }
    }
    give_first_tier(region);
}

// Hosts that lost a neighbour become neighbours of each other, or get edges as newcomers do.
void SwarmGraph::mend(const std::vector<Node>& ends) {
    auto open = ends;
    while (open.size() >= 2) {
        const auto one = open.back();
        open.pop_back();
        const auto pick = random_below(open.size());
        const auto other = open[pick];
        if (!linked(one, other) && spare(one) > 0 && spare(other) > 0) {
            link(one, other, false);
            open[pick] = open.back();
            open.pop_back();
        }
    }
    for (const auto end : ends) {
        if (spare(end) > 0) {
            fill(end);
        }
    }
}

void SwarmGraph::replace(Node node, Node neighbour) {
    if (!present(node) || !present(neighbour) || !linked(node, neighbour)) {
        return;
    }
    const auto zone = nodes_[node].zone;
    // In a swarm so small there is no other edge to give.
    const auto& here = zones_.at(zone);
    if (here.size() <= options_.degree + 1UL || nodes_[node].edges.size() < 2) {
        return;
    }
    unlink(node, neighbour);
    for (const auto end : {node, neighbour}) {
        if (!nodes_[end].complete) {
            fill(end);
        }
    }
    if (linked(node, neighbour)) {
        return; // Chance gave the edge back.
    }
    keep_long_links(zone);
}

// Every zone is tied to the others of its region.
void SwarmGraph::keep_long_links(std::uint32_t zone_number) {
    const auto& zone = zones_.at(zone_number);
    const auto& zones = regions_.at(zone.region).zones;
    if (zones.size() < 2 || zone.size() == 0) {
        return;
    }
    const auto wanted =
        std::max<std::size_t>(options_.long_links_min, zone.size() / options_.hosts_per_link);
    for (int draw = 0; draw < draws_max && zone.long_links < std::min(wanted, zone.size() * 2);
         ++draw) {
        const auto& other = zones_.at(zones[random_below(zones.size())]);
        if (&other == &zone || other.size() == 0) {
            continue;
        }
        const auto pick = [&](const Zone& of) {
            const auto at = random_below(of.size());
            return at < of.lacking.size() ? of.lacking[at] : of.done[at - of.lacking.size()];
        };
        const auto here = pick(zone);
        const auto there = pick(other);
        if (!linked(here, there) && nodes_[here].long_links < options_.degree &&
            nodes_[there].long_links < options_.degree) {
            link(here, there, true);
        }
    }
}

void SwarmGraph::take_first_tier(Node node) {
    if (nodes_[node].first_tier) {
        nodes_[node].first_tier = false;
        --regions_.at(nodes_[node].region).first_tier;
        changed_.push_back(node);
    }
}

// Free places go to random hosts that lack something.
void SwarmGraph::give_first_tier(std::uint32_t region_number) {
    auto& region = regions_.at(region_number);
    for (int draw = 0; draw < draws_max * 4 && region.first_tier < options_.first_tier; ++draw) {
        const auto& zone = zones_.at(region.zones[random_below(region.zones.size())]);
        if (zone.lacking.empty()) {
            continue;
        }
        const auto node = random_of(zone.lacking);
        if (!nodes_[node].first_tier) {
            nodes_[node].first_tier = true;
            ++region.first_tier;
            changed_.push_back(node);
        }
    }
}

void SwarmGraph::starving(Node node) {
    if (!present(node) || nodes_[node].complete || nodes_[node].first_tier) {
        return;
    }
    auto& region = regions_.at(nodes_[node].region);
    if (region.first_tier < options_.first_tier * 2) {
        nodes_[node].first_tier = true;
        ++region.first_tier;
        changed_.push_back(node);
    }
}

} // namespace slipway::seeder
