#include "tests/sim/swarm/block_sim.h"

#include <algorithm>
#include <bit>
#include <numeric>
#include <random>

namespace slipway::sim {
namespace {

constexpr std::uint32_t random_peers = 50;
constexpr std::uint32_t join_order_peers = 10;
constexpr std::uint32_t pieces_looked_at = 4;
constexpr double rounds_max = 20; ///< Times the pieces: a swarm that takes longer hangs.
constexpr std::uint32_t rounds_a_second = 20;
constexpr std::uint32_t again_after = 3 * rounds_a_second; ///< As swarm::Spread.
constexpr std::uint32_t nobody = 0xffffffffU;

using Bits = std::vector<std::uint64_t>;

class Swarm {
public:
    explicit Swarm(const SimOptions& options)
        : options_(options), random_(options.seed), graph_({}, options.seed),
          words_((options.pieces + 63) / 64), copies_(options.pieces), fresh_(options.pieces) {
        std::iota(fresh_.begin(), fresh_.end(), 0U);
        std::ranges::shuffle(fresh_, random_);
    }

    SimResult run() {
        const auto limit = static_cast<std::uint32_t>(options_.pieces * rounds_max);
        for (round_ = 0; round_ < limit && !over(); ++round_) {
            join_some();
            if (round_ == options_.pieces / 2) {
                kill_some();
            }
            play();
        }
        return result();
    }

private:
    struct Host {
        Bits have;
        std::uint32_t count = 0;
        std::uint32_t node = nobody;
        std::uint32_t zone = 0;
        std::uint32_t done_in = 0;
        std::uint32_t receives = nobody; ///< In this round.
        std::uint32_t starved = 0;       ///< Rounds without a piece.
        bool dead = false;
        std::vector<std::uint32_t> peers; ///< Of the fixed graphs.
    };

    [[nodiscard]] bool assigned() const { return options_.graph == Graph::assigned; }
    [[nodiscard]] bool over() const {
        return hosts_.size() == options_.hosts &&
               std::ranges::all_of(hosts_, [&](const Host& host) {
                   return host.dead || host.count == options_.pieces;
               });
    }
    std::uint32_t below(std::size_t bound) { return static_cast<std::uint32_t>(random_() % bound); }

    void join_some() {
        const auto wanted =
            options_.join_rounds == 0
                ? options_.hosts
                : std::min<std::uint64_t>(options_.hosts, std::uint64_t{options_.hosts} *
                                                              (round_ + 1) / options_.join_rounds);
        while (hosts_.size() < wanted) {
            join();
        }
        if (hosts_.size() == options_.hosts && !measured_) {
            measured_ = true;
            measure();
        }
    }
    void join() {
        const auto me = static_cast<std::uint32_t>(hosts_.size());
        auto& host = hosts_.emplace_back();
        host.have.resize(words_);
        host.zone = me % options_.zones;
        if (assigned()) {
            host.node = graph_.join({.region = 0, .zone = host.zone}, false);
            host_of_.resize(std::max<std::size_t>(host_of_.size(), host.node + 1UL));
            host_of_[host.node] = me;
            return;
        }
        const auto most = options_.graph == Graph::random_peers ? random_peers : join_order_peers;
        for (std::uint32_t draw = 0; draw < most * 4 && host.peers.size() < most && me > 0;
             ++draw) {
            const auto other = below(me);
            auto& theirs = hosts_[other].peers;
            const bool full = options_.graph == Graph::join_order && theirs.size() >= most;
            if (!full && std::ranges::find(host.peers, other) == host.peers.end()) {
                host.peers.push_back(other);
                theirs.push_back(me);
            }
        }
    }
    void kill_some() {
        for (auto& host : hosts_) {
            if (below(100) < options_.killed_percent) {
                host.dead = true;
                forget(host);
                if (assigned()) {
                    graph_.leave(host.node);
                }
            }
        }
    }

    // What only a dead host had, the source sends once more.
    void forget(const Host& host) {
        for (std::uint32_t piece = 0; piece < options_.pieces; ++piece) {
            if (has(host, piece) && --copies_[piece] == 0) {
                fresh_.push_back(piece);
            }
        }
    }

    // Calls `use` for each neighbour until it returns true.
    template <typename Use>
    void each_neighbour(std::uint32_t me, Use&& use) {
        if (assigned()) {
            const auto& edges = graph_.edges(hosts_[me].node);
            const auto from = edges.empty() ? 0 : below(edges.size());
            for (std::size_t i = 0; i < edges.size(); ++i) {
                if (use(host_of_[edges[(from + i) % edges.size()].to])) {
                    return;
                }
            }
            return;
        }
        const auto& peers = hosts_[me].peers;
        const auto from = peers.empty() ? 0 : below(peers.size());
        for (std::size_t i = 0; i < peers.size(); ++i) {
            if (use(peers[(from + i) % peers.size()])) {
                return;
            }
        }
    }
    [[nodiscard]] bool takes(const Host& host) const {
        return !host.dead && host.receives == nobody && host.count < options_.pieces;
    }

    // The rarest of some random pieces that `from` has and `to` lacks.
    std::uint32_t choose(const Host& from, const Host& to) {
        std::uint32_t best = nobody;
        std::uint32_t looked = 0;
        const auto start = below(words_);
        for (std::size_t i = 0; i < words_ && looked < pieces_looked_at; ++i) {
            const auto word = (start + i) % words_;
            auto useful = from.have[word] & ~to.have[word];
            useful = std::rotr(useful, static_cast<int>(start % 64));
            while (useful != 0 && looked < pieces_looked_at) {
                const auto bit = (static_cast<std::size_t>(std::countr_zero(useful)) + start) % 64;
                useful &= useful - 1;
                const auto piece = static_cast<std::uint32_t>(word * 64 + bit);
                ++looked;
                if (best == nobody || copies_[piece] < copies_[best]) {
                    best = piece;
                }
            }
        }
        return best;
    }

    void play() {
        send_from_source();
        order_.resize(hosts_.size());
        std::iota(order_.begin(), order_.end(), 0U);
        std::ranges::shuffle(order_, random_);
        for (const auto me : order_) {
            if (hosts_[me].dead || hosts_[me].count == 0) {
                continue;
            }
            each_neighbour(me, [&](std::uint32_t other) {
                if (!takes(hosts_[other])) {
                    return false;
                }
                hosts_[other].receives = choose(hosts_[me], hosts_[other]);
                return hosts_[other].receives != nobody;
            });
        }
        settle();
    }

    void send_from_source() {
        const auto fit = [&](const Host& host) {
            return takes(host) && (!assigned() || graph_.first_tier(host.node));
        };
        candidates_.clear();
        for (std::uint32_t me = 0; me < hosts_.size(); ++me) {
            if (fit(hosts_[me])) {
                candidates_.push_back(me);
            }
        }
        if (candidates_.empty()) {
            return;
        }
        auto& host = hosts_[candidates_[below(candidates_.size())]];
        while (!fresh_.empty() && copies_[fresh_.back()] > 0) {
            fresh_.pop_back();
        }
        if (!fresh_.empty()) {
            host.receives = fresh_.back();
            fresh_.pop_back();
            ++sent_;
            return;
        }
        // Only what too few have, or a host that gets nothing: the swarm passes on the rest.
        std::uint32_t rarest = nobody;
        for (std::uint32_t piece = 0; piece < options_.pieces; ++piece) {
            if (!has(host, piece) && (rarest == nobody || copies_[piece] < copies_[rarest])) {
                rarest = piece;
            }
        }
        if (rarest != nobody && (copies_[rarest] <= 1 || host.starved >= again_after)) {
            host.receives = rarest;
            ++sent_;
        }
    }

    [[nodiscard]] static bool has(const Host& host, std::uint32_t piece) {
        return (host.have[piece / 64] >> (piece % 64) & 1U) != 0;
    }

    void settle() {
        for (auto& host : hosts_) {
            if (host.receives == nobody) {
                starve(host);
                continue;
            }
            host.starved = 0;
            host.have[host.receives / 64] |= std::uint64_t{1} << (host.receives % 64);
            ++copies_[host.receives];
            host.receives = nobody;
            if (++host.count == options_.pieces) {
                host.done_in = round_ + 1;
                if (assigned()) {
                    graph_.finish(host.node);
                }
            }
        }
    }
    // An agent that gets nothing for a second says so; here a second is some rounds.
    void starve(Host& host) {
        const bool lacks = !host.dead && host.count < options_.pieces;
        if (lacks && ++host.starved % rounds_a_second == 0 && assigned()) {
            graph_.starving(host.node);
        }
    }

    void measure() {
        result_.degree_min = nobody;
        std::uint64_t total = 0;
        for (std::uint32_t me = 0; me < hosts_.size(); ++me) {
            std::uint32_t degree = 0;
            each_neighbour(me, [&](std::uint32_t other) {
                ++degree;
                result_.between_zones +=
                    hosts_[other].zone != hosts_[me].zone && other > me ? 1U : 0U;
                return false;
            });
            total += degree;
            result_.degree_min = std::min(result_.degree_min, degree);
            result_.degree_max = std::max(result_.degree_max, degree);
        }
        result_.degree_mean = static_cast<double>(total) / static_cast<double>(hosts_.size());
    }

    SimResult result() {
        std::vector<std::uint32_t> done;
        for (const auto& host : hosts_) {
            result_.living += host.dead ? 0 : 1;
            if (!host.dead && host.count == options_.pieces) {
                done.push_back(host.done_in);
            }
        }
        std::ranges::sort(done);
        result_.finished = static_cast<std::uint32_t>(done.size());
        const auto pieces = static_cast<double>(options_.pieces);
        if (!done.empty()) {
            result_.last = done.back() / pieces;
            result_.p50 = done[done.size() / 2] / pieces;
        }
        result_.source_copies = sent_ / pieces;
        return result_;
    }

    const SimOptions options_;
    std::mt19937_64 random_;
    seeder::SwarmGraph graph_;
    std::size_t words_;
    std::vector<std::uint32_t> copies_;
    std::vector<std::uint32_t> fresh_;
    std::vector<Host> hosts_;
    std::vector<std::uint32_t> host_of_; ///< By node.
    std::vector<std::uint32_t> order_;
    std::vector<std::uint32_t> candidates_;
    std::uint32_t round_ = 0;
    std::uint32_t sent_ = 0;
    bool measured_ = false;
    SimResult result_;
};

} // namespace

SimResult simulate(const SimOptions& options) {
    return Swarm(options).run();
}

} // namespace slipway::sim
