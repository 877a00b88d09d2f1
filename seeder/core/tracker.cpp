#include "seeder/core/tracker.h"

#include <algorithm>

namespace slipway::seeder {
namespace {

std::string bencoded(std::string_view text) {
    return std::to_string(text.size()) + ":" + std::string(text);
}

std::string bencoded(std::uint64_t value) {
    return "i" + std::to_string(value) + "e";
}

std::string_view text_of(const SwarmHash& hash) {
    return {reinterpret_cast<const char*>(hash.data()), hash.size()};
}

// BEP 23 for IPv4, BEP 7 for IPv6: address and port, both in network order.
std::string compact(const std::vector<PeerEndpoint>& peers, std::size_t address_bytes) {
    std::string out;
    for (const auto& peer : peers) {
        if (peer.address.size() == address_bytes) {
            out.append(peer.address.begin(), peer.address.end());
            out += static_cast<char>(peer.port >> 8U);
            out += static_cast<char>(peer.port & 0xffU);
        }
    }
    return out;
}

} // namespace

Tracker::Tracker(TrackerOptions options, std::uint64_t seed)
    : options_(options), random_(seed | 1U) {}

void Tracker::add_swarm(const SwarmHash& swarm) {
    swarms_.try_emplace(swarm);
}
void Tracker::remove_swarm(const SwarmHash& swarm) {
    swarms_.erase(swarm);
}

std::size_t Tracker::peer_total() const {
    std::size_t total = 0;
    for (const auto& [hash, swarm] : swarms_) {
        total += swarm.peers.size();
    }
    return total;
}

// xorshift64*: enough to spread peers evenly, and the same everywhere.
std::uint64_t Tracker::random_below(std::uint64_t bound) {
    random_ ^= random_ >> 12U;
    random_ ^= random_ << 25U;
    random_ ^= random_ >> 27U;
    return random_ * 0x2545F4914F6CDD1DULL % bound;
}

void Tracker::sweep(Swarm& swarm, TimePoint now) const {
    if (now < swarm.sweep_at) {
        return;
    }
    std::erase_if(swarm.peers, [&](const auto& entry) { return entry.second.forget_at <= now; });
    swarm.sweep_at = now + options_.interval;
}

void Tracker::record(Swarm& swarm, const Announce& announce, TimePoint now) const {
    if (announce.event == AnnounceEvent::stopped) {
        swarm.peers.erase(announce.id);
        return;
    }
    if (announce.event == AnnounceEvent::completed) {
        ++swarm.completed;
    }
    const bool known = swarm.peers.contains(announce.id);
    if (!known && swarm.peers.size() >= options_.peers_per_swarm_max) {
        return;
    }
    const bool idle = announce.left == 0 || announce.event == AnnounceEvent::paused;
    const auto interval = idle ? options_.idle_interval : options_.interval;
    swarm.peers[announce.id] = {.endpoint = announce.peer,
                                .complete = announce.left == 0,
                                .forget_at = now + interval * (options_.missed_calls_max + 1)};
}

// Whole peers are of no use to a whole peer; the rest is a random sample, taken by walking from a
// random place so that the cost does not grow with the swarm.
std::vector<PeerEndpoint> Tracker::choose(const Swarm& swarm, const Announce& announce) {
    std::vector<PeerEndpoint> chosen;
    const auto wanted = std::min(announce.peers_wanted, options_.peers_per_reply_max);
    if (swarm.peers.empty() || wanted == 0 || announce.event == AnnounceEvent::stopped) {
        return chosen;
    }
    PeerId from{};
    std::ranges::generate(from, [&] { return static_cast<std::uint8_t>(random_below(256)); });
    const std::size_t looks_max = std::min(swarm.peers.size(), wanted * 4);
    auto it = swarm.peers.lower_bound(from);
    for (std::size_t looks = 0; looks < looks_max && chosen.size() < wanted; ++looks, ++it) {
        if (it == swarm.peers.end()) {
            it = swarm.peers.begin();
        }
        const bool useless = announce.left == 0 && it->second.complete;
        if (it->first != announce.id && !useless) {
            chosen.push_back(it->second.endpoint);
        }
    }
    return chosen;
}

std::string Tracker::announce(const Announce& announce, const std::optional<PeerEndpoint>& self,
                              TimePoint now) {
    const auto found = swarms_.find(announce.swarm);
    if (found == swarms_.end()) {
        return "d" + bencoded("failure reason") + bencoded("this seeder does not share that pack") +
               "e";
    }
    auto& swarm = found->second;
    sweep(swarm, now);
    record(swarm, announce, now);
    auto peers = choose(swarm, announce);
    if (self && announce.left > 0 && announce.event != AnnounceEvent::stopped) {
        peers.insert(peers.begin(), *self);
    }
    const bool idle = announce.left == 0 || announce.event == AnnounceEvent::paused;
    const auto complete = static_cast<std::uint64_t>(std::ranges::count_if(
        swarm.peers, [](const auto& entry) { return entry.second.complete; }));
    const auto seconds = [](std::chrono::seconds s) {
        return static_cast<std::uint64_t>(s.count());
    };
    // Keys in the order that BEP 3 demands.
    return "d" + bencoded("complete") + bencoded(complete + (self ? 1 : 0)) +
           bencoded("incomplete") + bencoded(swarm.peers.size() - complete) + bencoded("interval") +
           bencoded(seconds(idle ? options_.idle_interval : options_.interval)) +
           bencoded("min interval") + bencoded(seconds(options_.min_interval)) + bencoded("peers") +
           bencoded(compact(peers, 4)) + bencoded("peers6") + bencoded(compact(peers, 16)) + "e";
}

std::string Tracker::scrape(const std::vector<SwarmHash>& swarms, TimePoint now) {
    auto asked = swarms;
    std::ranges::sort(asked);
    asked.erase(std::ranges::unique(asked).begin(), asked.end());
    std::string files;
    for (const auto& hash : asked) {
        const auto found = swarms_.find(hash);
        if (found == swarms_.end()) {
            continue;
        }
        sweep(found->second, now);
        const auto& peers = found->second.peers;
        const auto complete = static_cast<std::uint64_t>(
            std::ranges::count_if(peers, [](const auto& entry) { return entry.second.complete; }));
        files += bencoded(text_of(hash)) + "d" + bencoded("complete") + bencoded(complete + 1) +
                 bencoded("downloaded") + bencoded(found->second.completed) +
                 bencoded("incomplete") + bencoded(peers.size() - complete) + "e";
    }
    return "d" + bencoded("files") + "d" + files + "ee";
}

} // namespace slipway::seeder
