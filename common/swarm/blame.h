#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "common/core/bytes.h"

namespace slipway::swarm {

/// Finds who sent the bad blocks of a piece that several peers sent together. Each block's sender
/// and checksum are kept until the piece passes; what was sent before and differs from what passed
/// was bad. Pure and not thread-safe. Holds blocks of unfinished pieces, and of at most
/// `suspected_pieces_max` that failed.
class Blame {
public:
    static constexpr std::size_t suspected_pieces_max = 256;
    static constexpr std::size_t records_of_piece_max = 4096;

    void block(std::size_t piece, std::uint64_t offset, const std::string& peer,
               std::uint64_t checksum);
    /// Who sent the piece that failed.
    std::set<std::string> failed(std::size_t piece);
    /// Peers whose blocks differ from those that made the piece whole.
    [[nodiscard]] std::set<std::string> passed(std::size_t piece);

private:
    struct Record {
        std::uint64_t offset;
        std::string peer;
        std::uint64_t checksum;
    };
    std::map<std::size_t, std::vector<Record>> arriving_;
    std::map<std::size_t, std::vector<Record>> suspected_;
};

/// Holds back the senders of a piece that failed, all but one, until the piece is settled: then it
/// fails because of one peer alone, or passes and its blocks tell who was wrong. Pure and not
/// thread-safe.
class Quarantine {
public:
    using TimePoint = std::chrono::steady_clock::time_point;
    /// For a peer that is kept and does not answer.
    static constexpr std::chrono::seconds longest{3};

    void failed(std::size_t piece, const std::set<std::string>& senders, TimePoint now);
    void passed(std::size_t piece);
    /// True if blocks of this peer must not be taken at present.
    [[nodiscard]] bool holds(const std::string& peer, TimePoint now) const;

private:
    std::optional<std::size_t> piece_;
    TimePoint since_;
    std::string kept_;
    std::set<std::string> held_;
};

/// A fast checksum that only tells equal from different. `key` is secret and random, so that nobody
/// can send a bad block that passes for the good one.
[[nodiscard]] std::uint64_t block_checksum(ByteSpan block, std::uint64_t key);

} // namespace slipway::swarm
