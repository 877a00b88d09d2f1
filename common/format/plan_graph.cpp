#include "common/format/plan_graph.h"

#include <unordered_map>

namespace slipway {
namespace {

/// Numbers chunk keys in the order in which they are first seen.
class Numbering {
public:
    explicit Numbering(std::size_t expected) { numbers_.reserve(expected); }
    std::uint32_t of(const ChunkKey& key) {
        return numbers_.try_emplace(key, static_cast<std::uint32_t>(numbers_.size())).first->second;
    }
    [[nodiscard]] std::uint32_t find(const ChunkKey& key) const {
        const auto found = numbers_.find(key);
        return found == numbers_.end() ? PlanGraph::none : found->second;
    }
    [[nodiscard]] std::vector<ChunkKey> keys() const {
        std::vector<ChunkKey> keys(numbers_.size());
        for (const auto& [key, number] : numbers_) {
            keys[number] = key;
        }
        return keys;
    }

private:
    std::unordered_map<ChunkKey, std::uint32_t> numbers_;
};

std::size_t count_chunks(std::span<const PlanPack> packs) {
    std::size_t count = 0;
    for (const auto& pack : packs) {
        for (const auto& block : pack.toc->blocks) {
            count += block.chunks.size();
        }
    }
    return count;
}

bool is_at_hand(const PlanInput& input, const ChunkKey& key) {
    return input.available != nullptr && input.available->contains(key) &&
           !(input.distrusted != nullptr && input.distrusted->contains(key));
}

} // namespace

PlanGraph::Rows PlanGraph::Rows::transposed(std::size_t rows) const {
    Rows out;
    out.begins.assign(rows + 1, 0);
    for (const auto value : values) {
        ++out.begins[value + 1];
    }
    for (std::size_t row = 0; row < rows; ++row) {
        out.begins[row + 1] += out.begins[row];
    }
    out.values.resize(values.size());
    auto next = out.begins;
    for (std::uint32_t row = 0; row + 1 < begins.size(); ++row) {
        for (const auto value : of(row)) {
            out.values[next[value]++] = row;
        }
    }
    return out;
}

PlanGraph::PlanGraph(const PlanInput& input) {
    Numbering numbering(count_chunks(input.packs));
    const auto add_row = [&](Rows& rows, const std::vector<ChunkRef>& refs) {
        for (const auto& ref : refs) {
            rows.values.push_back(numbering.of(ref.key));
        }
        rows.begins.push_back(static_cast<std::uint32_t>(rows.values.size()));
    };
    for (std::uint32_t pack = 0; pack < input.packs.size(); ++pack) {
        const auto& blocks = input.packs[pack].toc->blocks;
        for (std::uint32_t block = 0; block < blocks.size(); ++block) {
            cost_.push_back(blocks[block].encoded_bytes);
            planned_.push_back({pack, block});
            add_row(bases_, blocks[block].bases);
            add_row(chunks_, blocks[block].chunks);
        }
    }
    keys_ = numbering.keys();
    at_hand_.resize(keys_.size());
    for (std::size_t chunk = 0; chunk < keys_.size(); ++chunk) {
        at_hand_[chunk] = is_at_hand(input, keys_[chunk]);
    }
    std::vector<bool> listed(keys_.size());
    for (const auto& ref : input.wanted) {
        const auto chunk = numbering.find(ref.key);
        if (chunk == none) {
            if (unknown_ == nullptr && !is_at_hand(input, ref.key)) {
                unknown_ = &ref;
            }
        } else if (!at_hand_[chunk] && !listed[chunk]) {
            listed[chunk] = true;
            wanted_.push_back(chunk);
        }
    }
    makers_ = chunks_.transposed(keys_.size());
    users_ = bases_.transposed(keys_.size());
}

} // namespace slipway
