#include "common/delta/match.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cassert>
#include <cstring>

namespace slipway {
namespace {

constexpr std::size_t long_seed = 32;
constexpr std::size_t short_seed = 12;
constexpr std::size_t bucket_slots = 4;
constexpr std::size_t seed_step = 4; // Base positions between two that are indexed.
/// A new alignment must explain so many bytes more than the one at hand; bsdiff's figure.
constexpr std::size_t gain_min = 8;

std::uint64_t load64(const std::uint8_t* from) {
    std::uint64_t word = 0;
    std::memcpy(&word, from, sizeof word);
    return word;
}

std::uint64_t mixed(std::uint64_t value) {
    value *= 0x9E3779B97F4A7C15ULL;
    return value ^ (value >> 29U);
}

/// Length of the common beginning.
std::size_t common_prefix(ByteSpan left, ByteSpan right) {
    const auto limit = std::min(left.size(), right.size());
    std::size_t i = 0;
    for (; i + 8 <= limit; i += 8) {
        const auto different = load64(left.data() + i) ^ load64(right.data() + i);
        if (different != 0) {
            return i + static_cast<std::size_t>(std::countr_zero(different)) / 8;
        }
    }
    while (i < limit && left[i] == right[i]) {
        ++i;
    }
    return i;
}

/// Padding would fill the index with places that say nothing.
bool is_uniform(const std::uint8_t* from) {
    const auto word = load64(from);
    return word == std::rotr(word, 8);
}

struct Seed {
    std::size_t base = 0;
    std::size_t bytes = 0; ///< Length of the exact match; 0: none.
};

/// Places of the base by their next 32 and by their next 12 bytes.
class SeedIndex {
public:
    explicit SeedIndex(ByteSpan base) : base_(base) {
        const auto entries = std::bit_ceil(std::max<std::size_t>(base.size() / seed_step, 1024));
        const auto log = std::min(std::countr_zero(entries), 24);
        shift_ = static_cast<unsigned>(64 - log);
        long_.assign(std::size_t{1} << static_cast<unsigned>(log), 0);
        short_.assign(std::size_t{1} << static_cast<unsigned>(log), 0);
        for (std::size_t at = 0; at + long_seed <= base.size(); at += seed_step) {
            const auto* const bytes = base.data() + at;
            if (!is_uniform(bytes)) {
                const auto entry = static_cast<std::uint32_t>(at + 1);
                long_[long_slot(bytes)] = entry;
                const auto slot = short_slot(bytes);
                short_[slot + turn(entry)] = entry;
            }
        }
    }

    /// The longest exact match among the places that the index remembers; of equally long ones
    /// that nearest to `expected`.
    [[nodiscard]] Seed find(ByteSpan raw, std::size_t expected) const {
        Seed best;
        if (raw.size() < long_seed || is_uniform(raw.data())) {
            return best;
        }
        const auto consider = [&](std::uint32_t entry) {
            if (entry == 0) {
                return;
            }
            const std::size_t at = entry - 1;
            const auto bytes = common_prefix(raw, base_.subspan(at));
            const auto far = [expected](std::size_t place) {
                return place > expected ? place - expected : expected - place;
            };
            if (bytes > best.bytes || (bytes == best.bytes && far(at) < far(best.base))) {
                best = {at, bytes};
            }
        };
        consider(long_[long_slot(raw.data())]);
        const auto slot = short_slot(raw.data());
        for (std::size_t i = 0; i < bucket_slots; ++i) {
            consider(short_[slot + i]);
        }
        return best;
    }

private:
    [[nodiscard]] std::size_t long_slot(const std::uint8_t* at) const {
        const auto hash = mixed(load64(at) + mixed(load64(at + 8))) +
                          mixed(load64(at + 16) + mixed(load64(at + 24)) * 3);
        return mixed(hash) >> shift_;
    }
    [[nodiscard]] std::size_t short_slot(const std::uint8_t* at) const {
        const auto hash = mixed(load64(at)) + (load64(at + 4) >> 32U);
        return (mixed(hash) >> shift_) & ~(bucket_slots - 1);
    }
    static std::size_t turn(std::uint32_t entry) {
        return mixed(entry) >> 60U & (bucket_slots - 1);
    }

    ByteSpan base_;
    unsigned shift_ = 0;
    std::vector<std::uint32_t> long_;
    std::vector<std::uint32_t> short_;
};

/// Alignment of raw bytes with base bytes: base offset = raw offset + shift.
class Matcher {
public:
    Matcher(ByteSpan raw, ByteSpan base) : raw_(raw), base_(base), index_(base) {}

    std::vector<CopyRun> run() {
        std::size_t scan = 0;
        while (scan < raw_.size()) {
            if (const auto same = aligned_prefix(scan); same >= 8) {
                scan += same;
                continue;
            }
            const auto seed = index_.find(raw_.subspan(scan), shifted(scan));
            if (seed.bytes < short_seed || seed.bytes <= explained(scan, seed.bytes) + gain_min) {
                ++scan;
                continue;
            }
            turn_to(scan, seed.base);
            scan += seed.bytes;
        }
        emit(forward_length(raw_.size()));
        return std::move(runs_);
    }

private:
    [[nodiscard]] std::size_t shifted(std::size_t at) const {
        return static_cast<std::size_t>(static_cast<std::ptrdiff_t>(at) + shift_);
    }
    [[nodiscard]] std::size_t aligned_prefix(std::size_t at) const {
        const auto place = shifted(at);
        return place < base_.size() ? common_prefix(raw_.subspan(at), base_.subspan(place)) : 0;
    }
    /// How many of the `count` bytes at `at` the alignment at hand gives right.
    [[nodiscard]] std::size_t explained(std::size_t at, std::size_t count) const {
        std::size_t equal = 0;
        for (std::size_t i = at; i < at + count && shifted(i) < base_.size(); ++i) {
            equal += static_cast<std::size_t>(raw_[i] == base_[shifted(i)]);
        }
        return equal;
    }

    /// How far the alignment at hand is worth keeping, from where it begins up to `end`: the length
    /// with the most equal minus unequal bytes.
    [[nodiscard]] std::size_t forward_length(std::size_t end) const {
        std::ptrdiff_t score = 0;
        std::ptrdiff_t best = 0;
        std::size_t length = 0;
        for (std::size_t i = begin_; i < end && shifted(i) < base_.size(); ++i) {
            score += raw_[i] == base_[shifted(i)] ? 1 : -1;
            if (score > best) {
                best = score;
                length = i + 1 - begin_;
            }
        }
        return length;
    }

    /// The same for an alignment that is sure at `at`, backwards.
    [[nodiscard]] std::size_t backward_length(std::size_t at, std::size_t place) const {
        std::ptrdiff_t score = 0;
        std::ptrdiff_t best = 0;
        std::size_t length = 0;
        for (std::size_t i = 1; at >= begin_ + i && place >= i; ++i) {
            score += raw_[at - i] == base_[place - i] ? 1 : -1;
            if (score > best) {
                best = score;
                length = i;
            }
        }
        return length;
    }

    /// Ends the alignment at hand before `at` and begins the one that puts base[place] there.
    void turn_to(std::size_t at, std::size_t place) {
        auto forward = forward_length(at);
        auto backward = backward_length(at, place);
        if (begin_ + forward > at - backward) {
            const auto overlap = begin_ + forward - (at - backward);
            const auto kept = best_split(at - backward, place - backward, overlap);
            forward -= overlap - kept;
            backward -= kept;
        }
        emit(forward);
        begin_ = at - backward;
        shift_ = static_cast<std::ptrdiff_t>(place) - static_cast<std::ptrdiff_t>(at);
    }

    /// Of `overlap` raw bytes at `at`, how many the alignment at hand should keep before the one
    /// that puts base[place] at `at` takes over.
    [[nodiscard]] std::size_t best_split(std::size_t at, std::size_t place,
                                         std::size_t overlap) const {
        std::ptrdiff_t score = 0;
        std::ptrdiff_t best = 0;
        std::size_t kept = 0;
        for (std::size_t i = 0; i < overlap; ++i) {
            score += static_cast<std::ptrdiff_t>(raw_[at + i] == base_[shifted(at + i)]) -
                     static_cast<std::ptrdiff_t>(raw_[at + i] == base_[place + i]);
            if (score > best) {
                best = score;
                kept = i + 1;
            }
        }
        return kept;
    }

    void emit(std::size_t length) {
        if (length >= copy_run_bytes_min) {
            runs_.push_back({static_cast<std::uint32_t>(shifted(begin_)),
                             static_cast<std::uint32_t>(begin_),
                             static_cast<std::uint32_t>(length)});
        }
    }

    ByteSpan raw_;
    ByteSpan base_;
    SeedIndex index_;
    std::vector<CopyRun> runs_;
    std::size_t begin_ = 0; ///< First raw byte of the alignment at hand.
    std::ptrdiff_t shift_ = 0;
};

} // namespace

std::vector<CopyRun> match_runs(ByteSpan raw, ByteSpan base) {
    assert(raw.size() < (1ULL << 31U) && base.size() < (1ULL << 31U));
    return Matcher(raw, base).run();
}

} // namespace slipway
