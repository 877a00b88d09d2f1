#include "common/swarm/fetch.h"

#include <algorithm>

#include <libtorrent/torrent_info.hpp>

#include "common/core/errc.h"
#include "common/swarm/metainfo.h"

namespace slipway::swarm {
namespace {

constexpr std::chrono::milliseconds look_around{50};
constexpr std::chrono::milliseconds prod_interval{1'000};
constexpr unsigned web_threads = 4;
// Each bad piece costs its sender a ban, so so many in a row mean that sources are made up as fast
// as they are banned.
constexpr std::size_t failed_pieces_max = 64;
constexpr std::size_t packs_explained_max = 3;

bool has_swarm(const FetchRequest& request) {
    return request.assigned || !request.trackers.empty() || !request.peers.empty();
}

std::string explain(const FetchRequest& request, const Ledger& ledger) {
    std::string text = "pack " + request.pack.name() + ":";
    for (const auto& [source, event] : ledger.notes()) {
        text.append(" ").append(source).append(": ").append(event).append(";");
    }
    if (ledger.notes().empty()) {
        text += " no tracker, peer or web seed is known;";
    }
    text.pop_back();
    return text;
}

// libtorrent owns the piece from here on: it writes it, verifies it once more and shares it.
void hand_over(const Torrent& torrent, std::size_t piece, const Bytes& data) {
    const auto* const first = reinterpret_cast<const char*>(data.data());
    const lt::piece_index_t index{static_cast<int>(piece)};
    std::vector<char> padded(first, first + data.size());
    // libtorrent 2.0.8 thinks of padding behind the file and takes no shorter piece.
    padded.resize(static_cast<std::size_t>(torrent.info->piece_size(index)));
    try {
        torrent.handle.add_piece(index, std::move(padded));
    } catch (const lt::system_error&) {
        return; // The torrent was removed meanwhile, and nobody waits for the piece.
    }
}

} // namespace

Fetch::Fetch(Torrents& torrents, const std::vector<FetchRequest>& requests,
             std::chrono::milliseconds patience, const std::function<void(std::uint64_t)>& progress,
             std::stop_token stop, RateGate& web_gate)
    : torrents_(torrents), requests_(requests), patience_(patience), progress_(progress),
      stop_(std::move(stop)), web_gate_(web_gate) {}

Result<FetchReport> Fetch::run() {
    Result<> result;
    for (const auto& request : requests_) {
        result = prepare(request);
        if (!result) {
            break;
        }
    }
    if (result) {
        result = watch();
    }
    web_.reset();
    settle();
    if (!result) {
        return tl::unexpected(result.error());
    }
    return report();
}

Result<> Fetch::prepare(const FetchRequest& request) {
    for (const auto& peer : request.peers) {
        if (const auto endpoint = endpoint_of(peer); !endpoint) {
            return tl::unexpected(endpoint.error());
        }
    }
    auto layer = verify_metainfo(request.metainfo, request.pack, "metainfo");
    if (!layer) {
        return tl::unexpected(layer.error());
    }
    auto* torrent = torrents_.find(request.pack);
    // Counted from before anything is asked for: connected peers answer at once.
    const auto before = torrent == nullptr ? Ledger::Counts{} : torrent->ledger->counts();
    const auto banned_before =
        torrent == nullptr ? std::set<std::string>{} : torrent->ledger->banned();
    if (torrent == nullptr) {
        auto have = take_stock(request.file, request.pack, *layer, stop_);
        if (!have) {
            return tl::unexpected(have.error());
        }
        auto ledger = std::make_shared<Ledger>(request.pack, std::move(*have), torrents_.signal());
        wanted_bytes_ += ledger->want(request.wanted);
        auto added = torrents_.add({.pack = request.pack,
                                    .layer = std::move(*layer),
                                    .file = request.file,
                                    .trackers = request.trackers,
                                    .peers = request.peers},
                                   torrents_.own_authority(), std::move(ledger));
        if (!added) {
            return tl::unexpected(added.error());
        }
        torrent = *added;
    } else {
        wanted_bytes_ += torrent->ledger->want(request.wanted);
        torrents_.follow_ledger(*torrent);
        torrents_.add_sources(*torrent, request.trackers, request.peers);
    }
    jobs_.push_back({.request = &request,
                     .torrent = torrent,
                     .before = before,
                     .banned_before = banned_before});
    return {};
}

Result<> Fetch::watch() {
    const std::stop_callback wake(stop_, [this] { torrents_.signal()->raise(); });
    last_progress_ = last_prod_ = Clock::now();
    while (true) {
        torrents_.pump();
        advance();
        if (const auto disk = check_disk(); !disk) {
            return disk;
        }
        if (complete()) {
            torrents_.assignments()->touch();
            std::vector<Torrent*> involved;
            involved.reserve(jobs_.size());
            for (const auto& job : jobs_) {
                involved.push_back(job.torrent);
            }
            return torrents_.flush(involved);
        }
        if (stop_.stop_requested()) {
            return fail(Errc::cancelled, "fetch packs");
        }
        const auto stalled = Clock::now() - last_progress_;
        if (stalled >= patience_ ||
            std::ranges::any_of(jobs_, [this](const Job& job) { return hopeless(job); })) {
            return give_up();
        }
        call_web_seeds(stalled);
        prod_swarm(stalled);
        torrents_.signal()->wait(look_around);
    }
}

Result<> Fetch::check_disk() const {
    for (const auto& job : jobs_) {
        if (job.torrent->disk_error) {
            return tl::unexpected(*job.torrent->disk_error);
        }
    }
    return {};
}

bool Fetch::advance() {
    std::uint64_t received = 0;
    std::size_t passed = 0;
    for (const auto& job : jobs_) {
        const auto counts = job.torrent->ledger->counts();
        received += counts.received_bytes - job.before.received_bytes;
        passed += counts.passed_pieces - job.before.passed_pieces;
    }
    const bool moved = received > received_bytes_ || passed > passed_pieces_;
    if (received > received_bytes_ && progress_) {
        progress_(received - received_bytes_);
    }
    received_bytes_ = received;
    passed_pieces_ = passed;
    if (moved) {
        last_progress_ = Clock::now();
    }
    return moved;
}

void Fetch::call_web_seeds(Clock::duration stalled) {
    std::vector<WebJob> web_jobs;
    for (const auto& job : jobs_) {
        const bool due =
            !has_swarm(*job.request) || web_ != nullptr || stalled >= job.request->web_seed_delay;
        if (!due || job.request->web_seeds.empty() || job.torrent->ledger->complete()) {
            continue;
        }
        web_jobs.push_back(
            {.urls = job.request->web_seeds,
             .layer = job.torrent->layer,
             .ledger = job.torrent->ledger,
             .deliver = [torrent = job.torrent](std::size_t piece, const Bytes& data) {
                 hand_over(*torrent, piece, data);
             }});
    }
    // Those called in before stay: a fetch adds to them once, when the swarm stalls.
    if (web_jobs.size() > web_jobs_) {
        web_jobs_ = web_jobs.size();
        web_.reset();
        web_ = std::make_unique<WebSource>(std::move(web_jobs), web_threads, web_gate_);
    }
}

// A peer that was down when it was tried is tried again, and so are trackers.
void Fetch::prod_swarm(Clock::duration stalled) {
    const auto now = Clock::now();
    if (stalled < prod_interval || now - last_prod_ < prod_interval) {
        return;
    }
    last_prod_ = now;
    for (const auto& job : jobs_) {
        if (!job.torrent->ledger->complete()) {
            torrents_.add_sources(*job.torrent, {}, job.request->peers);
            torrents_.announce(*job.torrent);
        }
    }
}

bool Fetch::complete() const {
    return std::ranges::all_of(jobs_,
                               [](const Job& job) { return job.torrent->ledger->complete(); });
}

// Every source that could ever answer sent bad bytes.
bool Fetch::hopeless(const Job& job) const {
    const auto& ledger = *job.torrent->ledger;
    if (ledger.complete()) {
        return false;
    }
    if (ledger.counts().failed_pieces > failed_pieces_max) {
        return true;
    }
    const auto banned = ledger.banned();
    const auto is_banned_peer = [&](const PeerAddress& peer) {
        const auto name = peer.ip.find(':') == std::string::npos ? peer.ip : "[" + peer.ip + "]";
        return banned.contains(name + ":" + std::to_string(peer.port));
    };
    return !banned.empty() && !job.request->assigned && job.request->trackers.empty() &&
           std::ranges::all_of(job.request->peers, is_banned_peer) &&
           std::ranges::all_of(job.request->web_seeds,
                               [&](const std::string& url) { return banned.contains(url); });
}

tl::unexpected<Error> Fetch::give_up() const {
    std::string text;
    bool bad_bytes = false;
    std::size_t explained = 0;
    for (const auto& job : jobs_) {
        const auto& ledger = *job.torrent->ledger;
        if (ledger.complete()) {
            continue;
        }
        if (explained++ < packs_explained_max) {
            text += (text.empty() ? "" : " ") + explain(*job.request, ledger);
        }
        for (const auto& source : ledger.banned()) {
            bad_bytes = true;
            text += (text.empty() ? "" : "; ") + std::string("bad bytes from ") + source;
        }
        bad_bytes = bad_bytes || ledger.counts().failed_pieces > 0;
    }
    if (bad_bytes) {
        return fail(Errc::verification_failed, text);
    }
    const auto waited = std::chrono::duration_cast<std::chrono::milliseconds>(patience_).count();
    return fail(Errc::unreachable,
                "nothing arrived for " + std::to_string(waited) + " ms: " + text);
}

// Sharing goes on after the fetch; asking does not.
void Fetch::settle() {
    for (const auto& job : jobs_) {
        const bool lacks = !job.torrent->ledger->complete();
        job.torrent->ledger->want_nothing();
        if (lacks) {
            torrents_.follow_ledger(*job.torrent);
        }
    }
}

FetchReport Fetch::report() const {
    FetchReport result;
    result.wanted_bytes = wanted_bytes_;
    for (const auto& job : jobs_) {
        const auto counts = job.torrent->ledger->counts();
        result.received_bytes += counts.received_bytes - job.before.received_bytes;
        result.failed_bytes += counts.failed_bytes - job.before.failed_bytes;
        for (const auto& source : job.torrent->ledger->banned()) {
            if (!job.banned_before.contains(source)) {
                result.banned.push_back(source);
            }
        }
    }
    return result;
}

} // namespace slipway::swarm
