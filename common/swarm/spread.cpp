#include "common/swarm/spread.h"

#include <algorithm>
#include <random>
#include <utility>

namespace slipway::swarm {
namespace {

constexpr std::chrono::seconds rate_over{1};
// A peer that gets twice as many pieces in the next second finds them shown.
constexpr std::size_t window_growth = 2;

} // namespace

Spread::Spread(std::size_t pieces, std::uint64_t seed) : pieces_(pieces) {
    std::vector<std::size_t> order(pieces);
    for (std::size_t piece = 0; piece < pieces; ++piece) {
        order[piece] = piece;
    }
    std::ranges::shuffle(order, std::mt19937_64(seed));
    fresh_.assign(order.begin(), order.end());
}

void Spread::wants(Peer peer, const std::vector<bool>& pieces, TimePoint now) {
    auto [place, entered] = peers_.try_emplace(peer);
    auto& known = place->second;
    known.wants = pieces;
    known.wants.resize(pieces_.size(), false);
    if (entered) {
        known.progress = now;
    }
    for (auto it = known.window.begin(); it != known.window.end();) {
        if (known.wants[*it]) {
            ++it;
            continue;
        }
        give_back(*it);
        it = known.window.erase(it);
    }
}

void Spread::has(Peer peer, std::size_t piece, TimePoint now) {
    const auto found = peers_.find(peer);
    if (found == peers_.end() || piece >= pieces_.size()) {
        return;
    }
    auto& known = found->second;
    known.wants[piece] = false;
    known.progress = now;
    known.expired = false;
    if (known.window.erase(piece) == 0) {
        return;
    }
    ++pieces_[piece].holders;
    known.held.push_back(piece);
    known.arrivals.push_back(now);
}

void Spread::leave(Peer peer) {
    const auto found = peers_.find(peer);
    if (found == peers_.end()) {
        return;
    }
    const auto known = std::move(found->second);
    peers_.erase(found);
    for (const auto piece : known.held) {
        --pieces_[piece].holders;
        give_back(piece); // Nobody who is here may have it any more.
    }
    for (const auto piece : known.window) {
        give_back(piece);
    }
}

// What was shown and did not arrive is shown to the next peer before anything else.
void Spread::give_back(std::size_t piece) {
    auto& state = pieces_[piece];
    if (!state.queued && state.holders == 0) {
        state.queued = true;
        fresh_.push_front(piece);
    }
}

void Spread::expire(Known& known, TimePoint now) {
    if (!known.window.empty() && now - known.progress >= lease) {
        known.expired = true;
        known.progress = now;
        for (const auto piece : known.window) {
            give_back(piece);
        }
        known.withdrawn.insert(known.withdrawn.end(), known.window.begin(), known.window.end());
        known.window.clear();
    }
}

std::vector<std::size_t> Spread::take_withdrawn(Peer peer) {
    const auto found = peers_.find(peer);
    return found == peers_.end() ? std::vector<std::size_t>{}
                                 : std::exchange(found->second.withdrawn, {});
}

std::size_t Spread::window_of(const Known& known, bool choked) {
    if (choked || known.expired) {
        return window_choked;
    }
    return std::clamp(known.arrivals.size() * window_growth, window_min, window_max);
}

std::vector<std::size_t> Spread::show(Peer peer, bool choked, TimePoint now) {
    std::vector<std::size_t> chosen;
    const auto found = peers_.find(peer);
    if (found == peers_.end()) {
        return chosen;
    }
    auto& known = found->second;
    while (!known.arrivals.empty() && now - known.arrivals.front() > rate_over) {
        known.arrivals.pop_front();
    }
    if (known.window.empty()) {
        known.progress = now; // Nothing was asked of it, so it does not stand still.
    }
    expire(known, now);
    const auto window = window_of(known, choked);
    if (known.window.size() >= window) {
        return chosen;
    }
    const auto room = window - known.window.size();
    show_fresh(known, room, chosen);
    if (chosen.empty() && known.window.empty()) {
        show_again(known, std::min(room, window_min), now, chosen);
    }
    for (const auto piece : chosen) {
        ++pieces_[piece].shown;
        pieces_[piece].shown_at = now;
        known.window.insert(piece);
    }
    return chosen;
}

void Spread::show_fresh(Known& known, std::size_t room, std::vector<std::size_t>& chosen) {
    for (auto it = fresh_.begin(); it != fresh_.end() && chosen.size() < room;) {
        if (known.wants[*it] && !known.window.contains(*it)) {
            pieces_[*it].queued = false;
            chosen.push_back(*it);
            it = fresh_.erase(it);
        } else {
            ++it;
        }
    }
}

void Spread::show_again(const Known& known, std::size_t room, TimePoint now,
                        std::vector<std::size_t>& chosen) const {
    for (std::size_t piece = 0; piece < pieces_.size(); ++piece) {
        if (known.wants[piece] && now - pieces_[piece].shown_at >= again_after) {
            chosen.push_back(piece);
        }
    }
    const auto kept = std::min(room, chosen.size());
    std::ranges::partial_sort(chosen, chosen.begin() + static_cast<std::ptrdiff_t>(kept), {},
                              [&](std::size_t piece) { return pieces_[piece].shown; });
    chosen.resize(kept);
}

} // namespace slipway::swarm
