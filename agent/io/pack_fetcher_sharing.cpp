// What PackFetcher does for a daemon: one session over many installations.
#include <sys/stat.h>

#include "agent/io/pack_fetcher.h"
#include "common/core/merkle.h"

namespace slipway::agent {
namespace {

std::uint64_t inode_of(const std::filesystem::path& file) {
    struct stat info{};
    return ::stat(file.c_str(), &info) == 0 ? info.st_ino : 0;
}

bool overlap(const std::vector<Range>& a, const std::vector<Range>& b) {
    auto both = a;
    both.insert(both.end(), b.begin(), b.end());
    return total_bytes(merged(both)) < total_bytes(merged(a)) + total_bytes(merged(b));
}

// `all` without `without`, which consists of parts of it.
std::vector<Range> rest_of(const std::vector<Range>& all, const std::vector<Range>& without) {
    std::vector<Range> rest;
    for (const auto& range : merged(all)) {
        auto at = range.offset;
        const auto end = range.offset + range.bytes;
        for (const auto& hole : merged(without)) {
            if (hole.offset >= end || hole.offset + hole.bytes <= at) {
                continue;
            }
            if (hole.offset > at) {
                rest.push_back({at, hole.offset - at});
            }
            at = hole.offset + hole.bytes;
        }
        if (at < end) {
            rest.push_back({at, end - at});
        }
    }
    return rest;
}

} // namespace

void PackFetcher::begin_anew() {
    known_.clear();
    asked_ = false;
}

// The session believes what it verified once. Where the disk says otherwise (a file was removed, or
// damaged and read again) the session takes stock anew.
Result<> PackFetcher::leave_if_gone(const PackId& id, const std::vector<Range>& missing) {
    const auto known = shared_.find(id);
    if (known == shared_.end() || (known->second.inode == inode_of(host_.pack(id)) &&
                                   !overlap(known->second.ranges, missing))) {
        return {};
    }
    shared_.erase(known);
    return session_ ? session_->remove(id) : Result<>();
}

void PackFetcher::note_shared(const PackFile& file, const std::vector<Range>& ranges) {
    if (!session_ || ranges.empty()) {
        return;
    }
    auto& shared = shared_[file.id];
    shared.inode = inode_of(file.file);
    shared.ranges.insert(shared.ranges.end(), ranges.begin(), ranges.end());
    shared.ranges = merged(std::move(shared.ranges));
}

Result<> PackFetcher::share_stock(const PackId& id, const std::vector<Range>& on_disk,
                                  std::stop_token stop) {
    if (!has_network() || on_disk.empty()) {
        return {};
    }
    const std::vector<PackRequest> request{{id, on_disk}};
    return missing(request, stop).and_then([&](const auto& lacking) -> Result<> {
        auto& known = known_.at(id);
        const auto piece = piece_bytes_for(id.bytes);
        const auto right = rest_of(rounded_to_pieces(on_disk, piece, id.bytes), lacking.front());
        if (right.empty()) {
            return {};
        }
        ask_seeders(stop);
        return leave_if_gone(id, {})
            .and_then([&] { return fetch_over_network({request_for(known, right)}, stop); })
            .map([&] { note_shared(known.file, right); });
    });
}

Result<> PackFetcher::forget(const PackId& id) {
    known_.erase(id);
    shared_.erase(id);
    return session_ ? session_->remove(id) : Result<>();
}

void PackFetcher::set_rates(const Rates& rates) {
    const std::lock_guard lock(rates_mutex_);
    rates_ = rates;
    if (session_) {
        session_->set_rates(rates.upload_bytes_per_s, rates.download_bytes_per_s);
    }
}

Result<> PackFetcher::follow_authorities() {
    return session_ ? session_->follow_authorities() : Result<>();
}

std::vector<swarm::SwarmStatus> PackFetcher::swarms() const {
    return session_ ? session_->swarms() : std::vector<swarm::SwarmStatus>();
}

std::uint64_t PackFetcher::uploaded_bytes() const {
    return session_ ? session_->uploaded_bytes() : 0;
}

} // namespace slipway::agent
