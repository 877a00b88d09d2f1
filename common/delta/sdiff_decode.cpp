#include <algorithm>
#include <cstring>
#include <limits>

#include "common/core/errc.h"
#include "common/delta/sdiff.h"
#include "common/delta/sdiff_streams.h"
#include "common/delta/zstd_stream.h"

namespace slipway {
namespace {

constexpr std::uint64_t anything = std::numeric_limits<std::uint64_t>::max();
constexpr std::uint64_t segment_memory_max = 1ULL << 40U;

tl::unexpected<Error> malformed(const char* why) {
    return fail(Errc::verification_failed, std::string("sdiff patch: ") + why);
}

std::int64_t unzigzag(std::uint64_t value) {
    return static_cast<std::int64_t>(value >> 1U) ^ -static_cast<std::int64_t>(value & 1U);
}

Result<std::vector<ZstdStream>> open_streams(ByteSpan encoded) {
    constexpr std::array<const char*, sdiff_streams> names = {
        "layout", "lengths of new bytes", "lengths of runs",  "shifts",
        "gaps",   "byte differences",     "word differences", "new bytes"};
    ByteReader reader(encoded, "sdiff patch");
    std::array<std::uint64_t, sdiff_streams> lengths{};
    for (auto& length : lengths) {
        auto value = reader.varint(encoded.size(), "length of a stream");
        if (!value) {
            return tl::unexpected(std::move(value.error()));
        }
        length = *value;
    }
    std::vector<ZstdStream> streams;
    streams.reserve(sdiff_streams);
    for (std::size_t i = 0; i < sdiff_streams; ++i) {
        auto frame = reader.raw(lengths[i], names[i]);
        if (!frame) {
            return tl::unexpected(std::move(frame.error()));
        }
        streams.emplace_back(*frame, i == extra_stream ? extra_window_log : stream_window_log,
                             std::string("sdiff patch, ") + names[i]);
    }
    if (!reader.at_end()) {
        return malformed("something follows the streams");
    }
    return streams;
}

/// Fills `numbers` with the next varints.
Result<> read_numbers(ZstdStream& stream, std::span<std::uint64_t> numbers) {
    for (auto& number : numbers) {
        auto value = stream.varint(anything);
        if (!value) {
            return tl::unexpected(std::move(value.error()));
        }
        number = *value;
    }
    return {};
}

Result<Segment> read_segment(ZstdStream& stream, std::uint64_t file_bytes) {
    std::array<std::uint64_t, 4> numbers{};
    if (auto ok = read_numbers(stream, numbers); !ok) {
        return tl::unexpected(std::move(ok.error()));
    }
    const Segment segment{numbers[0], numbers[1], numbers[2], numbers[3]};
    if (segment.offset > file_bytes || segment.bytes > file_bytes - segment.offset ||
        segment.memory < segment.bytes || segment.memory > segment_memory_max) {
        return malformed("segment outside of its file");
    }
    return segment;
}

struct Head {
    ProgramLayout layout;
    std::uint64_t runs = 0;
};

Result<> read_segments(ZstdStream& stream, ProgramLayout& layout, std::size_t base_bytes,
                       std::size_t out_bytes) {
    const auto count = stream.varint(segments_max);
    if (!count) {
        return tl::unexpected(count.error());
    }
    for (std::uint64_t i = 0; i < *count; ++i) {
        auto base = read_segment(stream, base_bytes);
        auto now = base ? read_segment(stream, out_bytes) : base;
        if (!now) {
            return tl::unexpected(std::move(now.error()));
        }
        layout.segments.push_back({*base, *now});
    }
    return mappable(layout.segments, base_bytes) ? Result<>() : malformed("segments far apart");
}

Result<> read_anchors(ZstdStream& stream, ProgramLayout& layout) {
    const auto count = stream.varint(anchors_max);
    if (!count) {
        return tl::unexpected(count.error());
    }
    for (std::uint64_t i = 0; i < *count; ++i) {
        std::array<std::uint64_t, 2> numbers{};
        if (auto ok = read_numbers(stream, numbers); !ok) {
            return ok;
        }
        layout.anchors.push_back({numbers[0], numbers[1]});
    }
    return {};
}

Result<> read_kinds(ZstdStream& stream, ProgramLayout& layout, std::size_t base_bytes) {
    if (layout.segments.empty()) {
        return {};
    }
    layout.kinds.resize((base_bytes + field_block_bytes - 1) / field_block_bytes);
    if (auto ok = stream.read(layout.kinds); !ok) {
        return ok;
    }
    const auto kinds = static_cast<std::size_t>(FieldKind::anchored) + layout.anchors.size();
    const auto known = [kinds](std::uint8_t kind) { return kind < kinds; };
    return std::all_of(layout.kinds.begin(), layout.kinds.end(), known)
               ? Result<>()
               : malformed("unknown kind of fields");
}

Result<Head> read_head(ZstdStream& stream, std::size_t base_bytes, std::size_t out_bytes) {
    Head head;
    const auto runs = stream.varint(out_bytes / copy_run_bytes_min);
    if (!runs) {
        return tl::unexpected(runs.error());
    }
    head.runs = *runs;
    auto ok = read_segments(stream, head.layout, base_bytes, out_bytes)
                  .and_then([&] { return read_anchors(stream, head.layout); })
                  .and_then([&] { return read_kinds(stream, head.layout, base_bytes); });
    if (!ok) {
        return tl::unexpected(std::move(ok.error()));
    }
    return head;
}

Result<> read_moves(ZstdStream& stream, AddressMap& map) {
    if (map.empty()) {
        return {};
    }
    const auto count = stream.varint(map.granules());
    if (!count) {
        return tl::unexpected(count.error());
    }
    std::uint64_t granule = 0;
    std::int64_t shift = 0;
    for (std::uint64_t i = 0; i < *count; ++i) {
        const auto skipped = stream.varint(map.granules());
        const auto change = skipped ? stream.varint(1ULL << 34U) : skipped;
        if (!change) {
            return tl::unexpected(change.error());
        }
        granule += *skipped;
        shift += unzigzag(*change);
        const auto narrow = static_cast<std::int32_t>(shift);
        if (narrow != shift || !map.add({granule, narrow})) {
            return malformed("move out of range");
        }
        ++granule;
    }
    return {};
}

/// The next run, which begins after `at` and whose base lies in the base.
Result<CopyRun> read_run(std::vector<ZstdStream>& streams, std::uint64_t at, std::int64_t& shift,
                         std::size_t base_bytes, std::size_t out_bytes) {
    const auto extra = streams[extra_lengths_stream].varint(out_bytes - at);
    if (!extra) {
        return tl::unexpected(extra.error());
    }
    const auto bytes = streams[run_lengths_stream].varint(out_bytes - at - *extra);
    if (!bytes) {
        return tl::unexpected(bytes.error());
    }
    const auto change = streams[shifts_stream].varint(1ULL << 33U);
    if (!change) {
        return tl::unexpected(change.error());
    }
    at += *extra;
    shift += unzigzag(*change);
    const auto base = static_cast<std::int64_t>(at) + shift;
    if (*bytes < copy_run_bytes_min) {
        return malformed("run too short");
    }
    if (base < 0 || static_cast<std::uint64_t>(base) > base_bytes ||
        *bytes > base_bytes - static_cast<std::uint64_t>(base)) {
        return malformed("run outside of the base");
    }
    return CopyRun{static_cast<std::uint32_t>(base), static_cast<std::uint32_t>(at),
                   static_cast<std::uint32_t>(*bytes)};
}

Result<std::vector<CopyRun>> read_runs(std::vector<ZstdStream>& streams, std::uint64_t count,
                                       std::size_t base_bytes, std::size_t out_bytes) {
    std::vector<CopyRun> runs;
    runs.reserve(count); // read_head() bounded it by the output.
    std::uint64_t at = 0;
    std::int64_t shift = 0;
    for (std::uint64_t i = 0; i < count; ++i) {
        auto run = read_run(streams, at, shift, base_bytes, out_bytes);
        if (!run) {
            return tl::unexpected(std::move(run.error()));
        }
        at = std::uint64_t{run->at} + run->bytes;
        runs.push_back(*run);
    }
    return runs;
}

/// The differences, in order, as places among the copied bytes.
class Differences {
public:
    explicit Differences(std::vector<ZstdStream>& streams) : streams_(streams) {}

    [[nodiscard]] Result<> start() { return advance(0); }
    [[nodiscard]] bool done() const { return done_; }

    /// Adds all that fall into `run`, whose first byte is number `copied` of all copied bytes.
    [[nodiscard]] Result<> apply(std::span<std::uint8_t> run, std::uint64_t copied) {
        while (!done_ && next_ - copied < run.size()) {
            const auto at = next_ - copied;
            const std::size_t width = wide_ ? 4 : 1;
            if (run.size() - at < width) {
                return malformed("difference across the end of a run");
            }
            auto ok = wide_ ? add_word(&run[at]) : add_byte(run[at]);
            if (ok) {
                ok = advance(next_ + width);
            }
            if (!ok) {
                return ok;
            }
        }
        return {};
    }

private:
    Result<> add_byte(std::uint8_t& place) {
        std::uint8_t value = 0;
        auto ok = streams_[byte_values_stream].read({&value, 1});
        place = static_cast<std::uint8_t>(place + value);
        return ok;
    }
    Result<> add_word(std::uint8_t* place) {
        std::uint32_t value = 0;
        std::array<std::uint8_t, 4> bytes{};
        auto ok = streams_[word_values_stream].read(bytes);
        std::memcpy(&value, place, sizeof value);
        std::uint32_t add = 0;
        std::memcpy(&add, bytes.data(), sizeof add);
        value += add;
        std::memcpy(place, &value, sizeof value);
        return ok;
    }
    Result<> advance(std::uint64_t from) {
        auto& gaps = streams_[gaps_stream];
        auto end = gaps.at_end();
        if (!end) {
            return tl::unexpected(std::move(end.error()));
        }
        done_ = *end;
        if (done_) {
            return {};
        }
        const auto gap = gaps.varint(1ULL << 32U);
        if (!gap) {
            return tl::unexpected(gap.error());
        }
        wide_ = (*gap & 1U) != 0;
        next_ = from + (*gap >> 1U);
        return {};
    }

    std::vector<ZstdStream>& streams_;
    std::uint64_t next_ = 0;
    bool wide_ = false;
    bool done_ = false;
};

Result<> write_out(std::vector<ZstdStream>& streams, std::span<const CopyRun> runs,
                   const ProgramLayout& layout, const AddressMap& map, ByteSpan base,
                   std::span<std::uint8_t> out) {
    Differences differences(streams);
    auto ok = differences.start();
    std::size_t at = 0;
    std::uint64_t copied = 0;
    for (const auto& run : runs) {
        if (ok) {
            ok = streams[extra_stream].read(out.subspan(at, run.at - at));
        }
        if (!ok) {
            return ok;
        }
        copy_run(run, base, out, layout, map);
        ok = differences.apply(out.subspan(run.at, run.bytes), copied);
        at = std::size_t{run.at} + run.bytes;
        copied += run.bytes;
    }
    if (ok) {
        ok = streams[extra_stream].read(out.subspan(at));
    }
    return ok && !differences.done() ? malformed("difference behind the last run") : ok;
}

} // namespace

void copy_run(const CopyRun& run, ByteSpan base, std::span<std::uint8_t> out,
              const ProgramLayout& layout, const AddressMap& map) {
    std::memcpy(&out[run.at], &base[run.base], run.bytes);
    if (layout.kinds.empty()) {
        return;
    }
    for_each_piece(run, [&](std::uint64_t from, std::uint64_t at, std::size_t step) {
        relocate(out.subspan(at, step), from, at, layout.kinds[from / field_block_bytes], map,
                 layout.anchors);
    });
}

Result<> sdiff_decode(ByteSpan encoded, ByteSpan base, std::span<std::uint8_t> out) {
    constexpr std::size_t span_bytes_max = 1ULL << 31U;
    if (base.empty() || base.size() >= span_bytes_max || out.size() >= span_bytes_max) {
        return malformed("no base, or too long");
    }
    auto streams = open_streams(encoded);
    if (!streams) {
        return tl::unexpected(std::move(streams.error()));
    }
    auto head = read_head((*streams)[layout_stream], base.size(), out.size());
    if (!head) {
        return tl::unexpected(std::move(head.error()));
    }
    const auto runs = read_runs(*streams, head->runs, base.size(), out.size());
    if (!runs) {
        return tl::unexpected(runs.error());
    }
    AddressMap map(head->layout.segments, *runs);
    if (auto ok = read_moves((*streams)[layout_stream], map); !ok) {
        return ok;
    }
    if (auto ok = write_out(*streams, *runs, head->layout, map, base, out); !ok) {
        return ok;
    }
    for (auto& stream : *streams) {
        const auto end = stream.at_end();
        if (!end || !*end) {
            return malformed("more in a stream than its runs use");
        }
    }
    return {};
}

} // namespace slipway
