#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "common/core/bytes.h"
#include "common/core/result.h"

namespace slipway::agent {

/// What the time of an installation is spent on, in the order of an installation.
enum class Part {
    metadata, ///< Signed metadata, manifest, file index, metainfo of packs.
    plan,     ///< What is to be fetched, and from which bases it is made.
    space,    ///< Reserving bytes and inodes.
    turn,     ///< Waiting while another service of this host fetches.
    peers,    ///< Waiting for bytes: nobody sent any.
    transfer, ///< Bytes came.
    build,    ///< Decoding and writing the tree.
    verify,   ///< Syncing it, and reading it back from the disk.
    hook,
    switching,
    restart,
    probe,
    bake,
    pause, ///< Between a try that failed and the next one.
    down,  ///< The agent did not run.
    other,
};
inline constexpr std::size_t part_count = 16;
[[nodiscard]] std::string_view to_string(Part part);

using PartTimes = std::map<Part, std::chrono::milliseconds>;

/// What a host says about why bytes came slowly or not at all: for people.
inline constexpr std::size_t remarks_max = 16;
inline constexpr std::size_t remark_bytes_max = 512;
/// Cut to the limits, printable, none twice.
void add_remark(std::vector<std::string>& remarks, std::string_view remark);

/// Where the time of one installation went.
struct Timeline {
    std::string artifact;
    bool ahead = false;            ///< Staged only.
    std::int64_t began_unix_s = 0; ///< For people, as is the next.
    std::int64_t told_unix_s = 0;  ///< Until when the times count.
    PartTimes times = {};
    std::uint64_t fetched_bytes = 0;
    std::uint64_t had_bytes = 0; ///< Of what was to be fetched: were on this host already.
    std::uint64_t failed_tries = 0;
    std::string outcome = {}; ///< Empty: it goes on. Else healthy, staged, rolled-back, …
    std::string why = {};     ///< Of an outcome that is not what was wanted, or of the last try.
    std::vector<std::string> remarks = {};
    bool operator==(const Timeline&) const = default;
    [[nodiscard]] std::chrono::milliseconds total() const;
};

/// Why it took long, as sentences: the largest part and what is known of it. Pure.
[[nodiscard]] std::vector<std::string> reasons_of(const Timeline& timeline);

inline constexpr std::size_t timeline_reason_bytes_max = std::size_t{16} * 1024;
inline constexpr std::size_t timelines_kept = 8; ///< Of a service; the oldest go.
inline constexpr std::size_t timelines_bytes_max = std::size_t{256} * 1024;

/// Oldest first. JSON, version 1; docs/agent.md lists the fields.
[[nodiscard]] std::string encode_timelines(const std::vector<Timeline>& timelines);
/// Errors: Errc::verification_failed.
[[nodiscard]] Result<std::vector<Timeline>> decode_timelines(ByteSpan text, std::string_view what);

} // namespace slipway::agent
