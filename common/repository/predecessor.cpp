#include "common/repository/predecessor.h"

#include <algorithm>
#include <string>
#include <unordered_map>
#include <unordered_set>

namespace slipway {
namespace {

std::string_view base_name(std::string_view path) {
    return path.substr(path.rfind('/') + 1);
}

std::uint64_t distance(std::uint64_t left, std::uint64_t right) {
    return left > right ? left - right : right - left;
}

/// The number of equal bytes at the end: moved directories keep the ends of their paths.
std::size_t common_tail(std::string_view left, std::string_view right) {
    const auto end = std::mismatch(left.rbegin(), left.rend(), right.rbegin(), right.rend()).first;
    return static_cast<std::size_t>(end - left.rbegin());
}

} // namespace

Predecessors::Predecessors(std::vector<Kin> fresh, const std::vector<std::string_view>& all_new,
                           std::vector<Kin> old)
    : fresh_(std::move(fresh)), old_(std::move(old)), matches_(fresh_.size()) {
    std::unordered_map<std::string_view, std::size_t> old_by_path;
    for (std::size_t i = 0; i < old_.size(); ++i) {
        old_by_path.emplace(old_[i].path, i);
        if (!std::ranges::binary_search(all_new, old_[i].path)) {
            gone_.push_back(i);
        }
    }
    for (std::size_t i = 0; i < fresh_.size(); ++i) {
        if (const auto found = old_by_path.find(fresh_[i].path); found != old_by_path.end()) {
            matches_[i] = found->second;
        } else {
            unmatched_.push_back(i);
        }
    }
    match_by_stem();
}

void Predecessors::match_by_stem() {
    std::unordered_multimap<std::string, std::size_t> gone_by_stem;
    for (const auto old : gone_) {
        gone_by_stem.emplace(path_stem(old_[old].path), old);
    }
    for (const auto fresh : unmatched_) {
        const auto [begin, end] = gone_by_stem.equal_range(path_stem(fresh_[fresh].path));
        for (auto it = begin; it != end; ++it) {
            const auto far = [&](std::size_t old) {
                return std::pair(distance(old_[old].bytes, fresh_[fresh].bytes), old);
            };
            auto& match = matches_[fresh];
            if (!match || far(it->second) < far(*match)) {
                match = it->second;
            }
        }
    }
    forget_matched();
}

void Predecessors::match_by_likeness(const std::vector<Sketch>& fresh_sketches,
                                     const std::vector<Sketch>& old_sketches) {
    // Only old files that share a feature are worth comparing; one that very many share says
    // nothing (licence texts, empty tables).
    constexpr std::size_t sharers_max = 64;
    constexpr double likeness_min = 0.1;
    std::unordered_map<std::uint64_t, std::vector<std::size_t>> by_feature;
    for (std::size_t i = 0; i < old_sketches.size(); ++i) {
        for (const auto feature : old_sketches[i].features) {
            by_feature[feature].push_back(i);
        }
    }
    for (std::size_t i = 0; i < fresh_sketches.size(); ++i) {
        double best = likeness_min;
        std::unordered_set<std::size_t> seen;
        for (const auto feature : fresh_sketches[i].features) {
            const auto sharers = by_feature.find(feature);
            if (sharers == by_feature.end() || sharers->second.size() > sharers_max) {
                continue;
            }
            for (const auto candidate : sharers->second) {
                if (!seen.insert(candidate).second) {
                    continue;
                }
                const auto alike = likeness(fresh_sketches[i], old_sketches[candidate]);
                if (alike > best) {
                    best = alike;
                    matches_[unmatched_[i]] = gone_[candidate];
                }
            }
        }
    }
    forget_matched();
}

void Predecessors::match_by_base_name() {
    std::unordered_multimap<std::string_view, std::size_t> gone_by_name;
    for (const auto old : gone_) {
        gone_by_name.emplace(base_name(old_[old].path), old);
    }
    for (const auto fresh : unmatched_) {
        const auto [begin, end] = gone_by_name.equal_range(base_name(fresh_[fresh].path));
        // A name that is everywhere (index.js) would be compared with everything.
        constexpr std::ptrdiff_t namesakes_max = 256;
        if (std::distance(begin, end) > namesakes_max) {
            continue;
        }
        for (auto it = begin; it != end; ++it) {
            const auto near = [&](std::size_t old) {
                return std::pair(common_tail(old_[old].path, fresh_[fresh].path), ~old);
            };
            auto& match = matches_[fresh];
            if (!match || near(it->second) > near(*match)) {
                match = it->second;
            }
        }
    }
    forget_matched();
}

void Predecessors::forget_matched() {
    std::unordered_set<std::size_t> taken;
    for (const auto fresh : unmatched_) {
        if (matches_[fresh]) {
            taken.insert(*matches_[fresh]);
        }
    }
    std::erase_if(unmatched_, [&](std::size_t fresh) { return matches_[fresh].has_value(); });
    std::erase_if(gone_, [&](std::size_t old) { return taken.contains(old); });
}

} // namespace slipway
