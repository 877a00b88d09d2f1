#include <algorithm>
#include <array>
#include <cassert>
#include <cstring>

#include "common/delta/elf_layout.h"
#include "common/delta/fields.h"
#include "common/delta/sdiff.h"
#include "common/delta/sdiff_streams.h"
#include "common/delta/zstd_codec.h"

namespace slipway {
namespace {

using Streams = std::array<Bytes, sdiff_streams>;

std::uint64_t zigzag(std::int64_t value) {
    return (static_cast<std::uint64_t>(value) << 1U) ^ static_cast<std::uint64_t>(value >> 63);
}

/// Segments and anchors of both programs in pairs; empty when either is no program.
struct Programs {
    ProgramLayout layout;
    std::vector<Segment> base_code;
    std::vector<Segment> new_code;
};

std::vector<Segment> code_of(const ElfLayout& layout) {
    std::vector<Segment> code;
    for (std::size_t i = 0; i < layout.segments.size(); ++i) {
        if (layout.executable[i]) {
            code.push_back(layout.segments[i]);
        }
    }
    return code;
}

Programs pair_programs(ByteSpan raw, ByteSpan base) {
    Programs programs;
    const auto from = elf_layout(base);
    const auto to = elf_layout(raw);
    if (!from || !to || from->executable != to->executable) {
        return programs;
    }
    for (std::size_t i = 0; i < from->segments.size(); ++i) {
        programs.layout.segments.push_back({from->segments[i], to->segments[i]});
    }
    if (!mappable(programs.layout.segments, base.size())) {
        return {};
    }
    const auto anchors = std::min({from->anchors.size(), to->anchors.size(), anchors_max});
    for (std::size_t i = 0; i < anchors; ++i) {
        programs.layout.anchors.push_back({from->anchors[i], to->anchors[i]});
    }
    programs.base_code = code_of(*from);
    programs.new_code = code_of(*to);
    return programs;
}

Bytes masked(ByteSpan program, std::span<const SegmentPair> pairs, const std::vector<Segment>& code,
             Segment SegmentPair::* side) {
    Bytes copy(program.begin(), program.end());
    std::vector<Segment> segments;
    for (const auto& pair : pairs) {
        segments.push_back(pair.*side);
    }
    for (const auto& part : code) {
        mask_displacements(copy, segments, part);
    }
    return copy;
}

std::vector<CopyRun> find_runs(ByteSpan raw, ByteSpan base, const Programs& programs) {
    if (programs.layout.segments.empty()) {
        return match_runs(raw, base);
    }
    const auto& pairs = programs.layout.segments;
    return match_runs(masked(raw, pairs, programs.new_code, &SegmentPair::now),
                      masked(base, pairs, programs.base_code, &SegmentPair::base));
}

std::size_t unequal(ByteSpan left, ByteSpan right) {
    std::size_t count = 0;
    for (std::size_t i = 0; i < left.size(); ++i) {
        count += static_cast<std::size_t>(left[i] != right[i]);
    }
    return count;
}

/// For each block of the base the kind of fields that leaves the fewest differences.
std::vector<std::uint8_t> choose_kinds(ByteSpan raw, ByteSpan base, std::span<const CopyRun> runs,
                                       const ProgramLayout& layout, const AddressMap& map) {
    const auto kinds = static_cast<std::size_t>(FieldKind::anchored) + layout.anchors.size();
    const auto blocks = (base.size() + field_block_bytes - 1) / field_block_bytes;
    std::vector<std::uint32_t> costs(blocks * kinds, 0);
    std::array<std::uint8_t, field_block_bytes> trial{};
    for (const auto& run : runs) {
        for_each_piece(run, [&](std::uint64_t from, std::uint64_t at, std::size_t step) {
            const auto old_piece = base.subspan(from, step);
            const auto new_piece = raw.subspan(at, step);
            auto* const cost = &costs[from / field_block_bytes * kinds];
            for (std::size_t kind = 0; kind < kinds; ++kind) {
                const std::span piece(trial.data(), step);
                std::copy(old_piece.begin(), old_piece.end(), piece.begin());
                relocate(piece, from, at, static_cast<std::uint8_t>(kind), map, layout.anchors);
                cost[kind] += static_cast<std::uint32_t>(unequal(piece, new_piece));
            }
        });
    }
    std::vector<std::uint8_t> best(blocks);
    for (std::size_t block = 0; block < blocks; ++block) {
        const auto* const cost = &costs[block * kinds];
        best[block] = static_cast<std::uint8_t>(std::min_element(cost, cost + kinds) - cost);
    }
    return best;
}

struct Vote {
    std::uint64_t granule = 0;
    std::int32_t shift = 0;
    auto operator<=>(const Vote&) const = default;
};

/// What the fields of `run` say about where their targets went: counts those that `map` gets right
/// in `right`, gives the others in `wrong`.
void collect_votes(const CopyRun& run, ByteSpan raw, ByteSpan base, const ProgramLayout& layout,
                   const AddressMap& map, std::vector<std::uint32_t>& right,
                   std::vector<Vote>& wrong) {
    for_each_piece(run, [&](std::uint64_t from, std::uint64_t at, std::size_t step) {
        const fields::Place place{from, map.base_address(from), map.new_address(at)};
        const auto kind = layout.kinds[from / field_block_bytes];
        fields::each_field(
            base.subspan(from, step), place, kind, layout.anchors, [&](const fields::Field& field) {
                const auto moved = map.moved(field.target);
                if (!moved) {
                    return false;
                }
                const auto* const actual = &raw[at + field.offset];
                const auto value = field.bytes == 8
                                       ? fields::load<std::uint64_t>(actual)
                                       : fields::sign_extended(fields::load<std::uint32_t>(actual));
                const auto distance =
                    static_cast<std::int64_t>(value + field.origin - field.target);
                const auto granule = map.granule_of(field.target);
                if (value + field.origin == *moved) {
                    ++right[granule];
                } else if (const auto shift = static_cast<std::int32_t>(distance);
                           shift == distance) {
                    wrong.push_back({granule, shift});
                }
                return true;
            });
    });
}

/// Granules about whose way enough fields agree against the map.
std::vector<Move> elect_moves(ByteSpan raw, ByteSpan base, std::span<const CopyRun> runs,
                              const ProgramLayout& layout, const AddressMap& map) {
    constexpr std::size_t majority_min = 4; // A move takes about as many bytes.
    std::vector<std::uint32_t> right(map.granules(), 0);
    std::vector<Vote> wrong;
    for (const auto& run : runs) {
        collect_votes(run, raw, base, layout, map, right, wrong);
    }
    std::sort(wrong.begin(), wrong.end());
    std::vector<Move> moves;
    std::size_t most = 0; // Votes for the last move, if it is about the granule at hand.
    for (auto vote = wrong.begin(); vote != wrong.end();) {
        const auto end =
            std::find_if(vote, wrong.end(), [&](auto& other) { return other != *vote; });
        const auto count = static_cast<std::size_t>(end - vote);
        const bool again = !moves.empty() && moves.back().granule == vote->granule;
        if (count >= right[vote->granule] + majority_min && (!again || count > most)) {
            if (again) {
                moves.pop_back();
            }
            moves.push_back({vote->granule, vote->shift});
            most = count;
        }
        vote = end;
    }
    return moves;
}

void write_moves(Bytes& out, std::span<const Move> moves) {
    ByteWriter writer(out);
    writer.varint(moves.size());
    std::uint64_t next = 0;
    std::int64_t shift = 0;
    for (const auto& move : moves) {
        writer.varint(move.granule - next);
        writer.varint(zigzag(move.shift - shift));
        next = move.granule + 1;
        shift = move.shift;
    }
}

void write_layout(Bytes& out, const ProgramLayout& layout, std::size_t runs) {
    ByteWriter writer(out);
    writer.varint(runs);
    writer.varint(layout.segments.size());
    for (const auto& pair : layout.segments) {
        for (const auto& segment : {pair.base, pair.now}) {
            writer.varint(segment.offset);
            writer.varint(segment.bytes);
            writer.varint(segment.address);
            writer.varint(segment.memory);
        }
    }
    writer.varint(layout.anchors.size());
    for (const auto& anchor : layout.anchors) {
        writer.varint(anchor.base);
        writer.varint(anchor.now);
    }
    writer.raw(layout.kinds);
}

void write_runs(Streams& streams, std::span<const CopyRun> runs, ByteSpan raw) {
    ByteWriter extra_lengths(streams[extra_lengths_stream]);
    ByteWriter run_lengths(streams[run_lengths_stream]);
    ByteWriter shifts(streams[shifts_stream]);
    ByteWriter extra(streams[extra_stream]);
    std::size_t at = 0;
    std::int64_t shift = 0;
    for (const auto& run : runs) {
        extra_lengths.varint(run.at - at);
        run_lengths.varint(run.bytes);
        const auto now = std::int64_t{run.base} - std::int64_t{run.at};
        shifts.varint(zigzag(now - shift));
        extra.raw(raw.subspan(at, run.at - at));
        at = run.at + run.bytes;
        shift = now;
    }
    extra.raw(raw.subspan(at));
}

/// Writes what must be added to `guess` to make it `actual`; both are one run. `gap` counts equal
/// bytes since the last difference, over all runs.
void write_differences(Streams& streams, ByteSpan guess, ByteSpan actual, std::uint64_t& gap) {
    ByteWriter gaps(streams[gaps_stream]);
    ByteWriter byte_values(streams[byte_values_stream]);
    ByteWriter word_values(streams[word_values_stream]);
    for (std::size_t i = 0; i < guess.size();) {
        if (guess[i] == actual[i]) {
            ++i;
            ++gap;
            continue;
        }
        const bool wide =
            i + 4 <= guess.size() && unequal(guess.subspan(i + 1, 3), actual.subspan(i + 1, 3)) > 0;
        gaps.varint(gap << 1U | static_cast<std::uint64_t>(wide));
        gap = 0;
        if (wide) {
            std::uint32_t from = 0;
            std::uint32_t to = 0;
            std::memcpy(&from, &guess[i], sizeof from);
            std::memcpy(&to, &actual[i], sizeof to);
            word_values.u32(to - from);
            i += sizeof from;
        } else {
            byte_values.u8(static_cast<std::uint8_t>(actual[i] - guess[i]));
            ++i;
        }
    }
}

Bytes packed(const Streams& streams) {
    std::array<Bytes, sdiff_streams> frames;
    Bytes result;
    ByteWriter writer(result);
    for (std::size_t i = 0; i < streams.size(); ++i) {
        if (!streams[i].empty()) {
            ZstdTuning tuning;
            tuning.level = 19;
            tuning.window_log = i == extra_stream ? extra_window_log : stream_window_log;
            auto frame = zstd_encode(streams[i], {}, tuning,
                                     streams[i].size() + 1024 + streams[i].size() / 128);
            assert(frame);
            frames[i] = std::move(*frame);
        }
        writer.varint(frames[i].size());
    }
    for (const auto& frame : frames) {
        writer.raw(frame);
    }
    return result;
}

} // namespace

bool sdiff_knows(ByteSpan file) {
    return elf_layout(file).has_value();
}

Bytes sdiff_encode(ByteSpan raw, ByteSpan base) {
    auto programs = pair_programs(raw, base);
    auto& layout = programs.layout;
    const auto runs = find_runs(raw, base, programs);
    AddressMap map(layout.segments, runs);
    std::vector<Move> moves;
    if (!map.empty()) {
        layout.kinds = choose_kinds(raw, base, runs, layout, map);
        moves = elect_moves(raw, base, runs, layout, map);
        for (const auto& move : moves) {
            [[maybe_unused]] const bool added = map.add(move);
            assert(added);
        }
        layout.kinds = choose_kinds(raw, base, runs, layout, map);
    }
    Streams streams;
    write_layout(streams[layout_stream], layout, runs.size());
    if (!map.empty()) {
        write_moves(streams[layout_stream], moves);
    }
    write_runs(streams, runs, raw);
    Bytes guess(raw.size());
    std::uint64_t gap = 0;
    for (const auto& run : runs) {
        copy_run(run, base, guess, layout, map);
        write_differences(streams, ByteSpan(guess).subspan(run.at, run.bytes),
                          raw.subspan(run.at, run.bytes), gap);
    }
    return packed(streams);
}

} // namespace slipway
