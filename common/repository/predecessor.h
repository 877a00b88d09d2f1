#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "common/delta/likeness.h"

namespace slipway {

/// A file as far as finding its older self goes.
struct Kin {
    std::string_view path;
    std::uint64_t bytes = 0;
};

/// Finds for new files the old files that they came from. Pure and deterministic.
///
/// By path first, then by path_stem() among the old files that are gone, the one of the most
/// similar length; what then has no match may be compared by content (candidates,
/// match_by_likeness), and at last by base name.
class Predecessors {
public:
    /// `fresh`: files whose content is new; `all_new`: paths of all new files, sorted bytewise;
    /// `old`: all old files. What the views point to must outlive the object.
    Predecessors(std::vector<Kin> fresh, const std::vector<std::string_view>& all_new,
                 std::vector<Kin> old);

    /// The old file of each fresh one.
    [[nodiscard]] const std::vector<std::optional<std::size_t>>& matches() const {
        return matches_;
    }
    /// Fresh files without a match, and old files that are gone without being one.
    [[nodiscard]] const std::vector<std::size_t>& unmatched() const { return unmatched_; }
    [[nodiscard]] const std::vector<std::size_t>& gone() const { return gone_; }

    /// `fresh_sketches` of unmatched(), `old_sketches` of gone(), in their order.
    void match_by_likeness(const std::vector<Sketch>& fresh_sketches,
                           const std::vector<Sketch>& old_sketches);
    void match_by_base_name();

private:
    void match_by_stem();
    void forget_matched();

    std::vector<Kin> fresh_;
    std::vector<Kin> old_;
    std::vector<std::optional<std::size_t>> matches_;
    std::vector<std::size_t> unmatched_;
    std::vector<std::size_t> gone_;
};

} // namespace slipway
