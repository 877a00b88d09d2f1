#include "common/swarm/ledger.h"

#include <algorithm>
#include <cassert>

namespace slipway::swarm {
namespace {

// Enough to explain a failure; a hostile tracker may name any number of peers.
constexpr std::size_t notes_max = 24;
constexpr std::size_t banned_max = 1024;
constexpr int bans_of_address_max = 4;
constexpr std::size_t stalled_max = 16; // What a call to a tracker may name.
// What libtorrent may hold in memory for web seeds, because its queue for them has no end.
constexpr std::uint64_t taken_bytes_max = 64ULL * 1024 * 1024;

} // namespace

void Signal::raise() {
    {
        const std::lock_guard lock(mutex_);
        raised_ = true;
    }
    condition_.notify_all();
}

void Signal::wait(std::chrono::milliseconds longest) {
    std::unique_lock lock(mutex_);
    condition_.wait_for(lock, longest, [this] { return raised_; });
    raised_ = false;
}

Ledger::Ledger(const PackId& pack, std::vector<bool> have, std::shared_ptr<Signal> signal)
    : grid_(pack), signal_(std::move(signal)), have_(std::move(have)), wanted_(grid_.count()),
      touched_(grid_.count()), taken_(grid_.count()) {
    assert(have_.size() == grid_.count());
}

std::vector<bool> Ledger::have() const {
    const std::lock_guard lock(mutex_);
    return have_;
}

std::uint64_t Ledger::want(const std::vector<ByteRange>& ranges) {
    const std::lock_guard lock(mutex_);
    for (const auto& range : ranges) {
        if (range.bytes == 0 || range.offset >= grid_.pack_bytes) {
            continue;
        }
        const auto end = range.offset + std::min(range.bytes, grid_.pack_bytes - range.offset);
        const auto last = static_cast<std::size_t>((end - 1) / grid_.piece_bytes);
        for (auto piece = static_cast<std::size_t>(range.offset / grid_.piece_bytes); piece <= last;
             ++piece) {
            wanted_[piece] = true;
        }
    }
    ++wants_generation_;
    if (lacking_ == 0) {
        last_arrival_ = std::chrono::steady_clock::now();
    }
    lacking_ = 0;
    std::uint64_t bytes = 0;
    for (std::size_t piece = 0; piece < grid_.count(); ++piece) {
        if (lacking(piece)) {
            ++lacking_;
            bytes += grid_.bytes(piece);
        }
    }
    return bytes;
}

void Ledger::want_nothing() {
    const std::lock_guard lock(mutex_);
    wanted_.assign(wanted_.size(), false);
    ++wants_generation_;
    lacking_ = 0;
}

std::vector<bool> Ledger::selection() const {
    const std::lock_guard lock(mutex_);
    auto result = have_;
    for (std::size_t piece = 0; piece < result.size(); ++piece) {
        result[piece] = result[piece] || wanted_[piece];
    }
    return result;
}

std::vector<bool> Ledger::lacking() const {
    const std::lock_guard lock(mutex_);
    std::vector<bool> result(wanted_.size());
    for (std::size_t piece = 0; piece < result.size(); ++piece) {
        result[piece] = lacking(piece);
    }
    return result;
}

std::uint64_t Ledger::lacking_bytes() const {
    const std::lock_guard lock(mutex_);
    std::uint64_t bytes = 0;
    for (std::size_t piece = 0; lacking_ > 0 && piece < wanted_.size(); ++piece) {
        bytes += lacking(piece) ? grid_.bytes(piece) : 0;
    }
    return bytes;
}

std::chrono::steady_clock::time_point Ledger::last_arrival() const {
    const std::lock_guard lock(mutex_);
    return last_arrival_;
}

void Ledger::note_stalled(const std::string& peer) {
    const std::lock_guard lock(mutex_);
    if (stalled_.size() < stalled_max) {
        stalled_.insert(peer);
    }
}

bool Ledger::has_stalled() const {
    const std::lock_guard lock(mutex_);
    return !stalled_.empty();
}

std::vector<std::string> Ledger::take_stalled() {
    const std::lock_guard lock(mutex_);
    std::vector<std::string> taken(stalled_.begin(), stalled_.end());
    stalled_.clear();
    return taken;
}

bool Ledger::complete() const {
    const std::lock_guard lock(mutex_);
    return lacking_ == 0;
}

bool Ledger::started() const {
    const std::lock_guard lock(mutex_);
    return started_;
}

Ledger::Counts Ledger::counts() const {
    const std::lock_guard lock(mutex_);
    return counts_;
}

void Ledger::torrent_started() {
    {
        const std::lock_guard lock(mutex_);
        started_ = true;
    }
    signal_->raise();
}

void Ledger::block_received(std::size_t piece, std::uint64_t bytes) {
    const std::lock_guard lock(mutex_);
    counts_.received_bytes += bytes;
    last_arrival_ = std::chrono::steady_clock::now();
    if (piece < touched_.size()) {
        touched_[piece] = true;
    }
}

void Ledger::piece_passed(std::size_t piece) {
    bool last = false;
    {
        const std::lock_guard lock(mutex_);
        if (piece >= have_.size() || have_[piece]) {
            return;
        }
        last = lacking(piece) && --lacking_ == 0;
        have_[piece] = true;
        set_taken(piece, false);
        ++counts_.passed_pieces;
        counts_.failed_pieces = 0;
    }
    if (last) {
        signal_->raise();
    }
}

void Ledger::piece_failed(std::size_t piece) {
    {
        const std::lock_guard lock(mutex_);
        if (piece >= have_.size()) {
            return;
        }
        counts_.failed_bytes += grid_.bytes(piece);
        ++counts_.failed_pieces;
        touched_[piece] = false;
        set_taken(piece, false);
    }
    signal_->raise();
}

void Ledger::set_taken(std::size_t piece, bool taken) {
    if (taken_[piece] != taken) {
        taken_[piece] = taken;
        taken_bytes_ += taken ? grid_.bytes(piece) : -grid_.bytes(piece);
    }
}

std::optional<Ledger::Run> Ledger::take_run(std::uint64_t bytes_max) {
    const std::lock_guard lock(mutex_);
    if (taken_bytes_ >= taken_bytes_max) {
        return std::nullopt;
    }
    const auto count_max = std::max<std::size_t>(1, bytes_max / grid_.piece_bytes);
    for (const bool touched_too : {false, true}) {
        const auto free = [&](std::size_t piece) {
            return lacking(piece) && !taken_[piece] && (touched_too || !touched_[piece]);
        };
        for (std::size_t first = 0; first < grid_.count(); ++first) {
            if (!free(first)) {
                continue;
            }
            Run run{first, 0};
            while (run.count < count_max && first + run.count < grid_.count() &&
                   free(first + run.count)) {
                set_taken(first + run.count++, true);
            }
            return run;
        }
    }
    return std::nullopt;
}

void Ledger::give_back(const Run& run) {
    const std::lock_guard lock(mutex_);
    for (std::size_t piece = run.first; piece < run.first + run.count; ++piece) {
        set_taken(piece, false);
    }
}

void Ledger::note(const std::string& source, std::string event) {
    const std::lock_guard lock(mutex_);
    if (notes_.size() < notes_max || notes_.contains(source)) {
        notes_[source] = std::move(event);
    }
}

std::map<std::string, std::string> Ledger::notes() const {
    const std::lock_guard lock(mutex_);
    return notes_;
}

void Ledger::ban(const std::string& source) {
    {
        const std::lock_guard lock(mutex_);
        if (banned_.size() < banned_max) {
            banned_.insert(source);
        }
    }
    signal_->raise();
}

void Ledger::ban_peer(const std::string& peer, const std::string& address) {
    if (banned().contains(peer)) {
        return; // libtorrent and the guard may both find it guilty.
    }
    ban(peer);
    const std::lock_guard lock(mutex_);
    if (bans_of_address_.size() < banned_max || bans_of_address_.contains(address)) {
        ++bans_of_address_[address];
    }
}

bool Ledger::is_banned(const std::string& peer, const std::string& address) const {
    const std::lock_guard lock(mutex_);
    const auto bans = bans_of_address_.find(address);
    return banned_.contains(peer) ||
           (bans != bans_of_address_.end() && bans->second >= bans_of_address_max);
}

std::set<std::string> Ledger::banned() const {
    const std::lock_guard lock(mutex_);
    return banned_;
}

} // namespace slipway::swarm
