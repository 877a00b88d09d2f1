#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/core/bytes.h"
#include "common/core/result.h"
#include "orchestrator/judge/plan.h"
#include "orchestrator/judge/state.h"

namespace slipway::orchestrator::judge {

/// What a host told of a metric. A NaN, an infinity or a negative number is as good as no reading.
struct Reading {
    std::uint32_t host = 0;      ///< Place in canary, or canary.size() + place in baseline.
    std::uint32_t metric = 0;    ///< Place in metrics. What is in neither is ignored, and counted.
    std::uint64_t at_s = 0;      ///< Unix time.
    std::uint64_t running_s = 0; ///< How long the host's release had been running then.
    std::uint64_t process = 0;   ///< Another number: its counters began anew. 0: not known.
    double amount = no_number;   ///< Kind::value: the value. Kind::count: the events.
    double exposure = no_number; ///< Kind::count: what the events are among: requests, seconds.
    std::vector<double> buckets; ///< Kind::quantile: samples in each bucket, not summed up.
};

/// What came in since the look before. Readings of hosts that said nothing are simply not there.
struct Look {
    std::uint64_t now_s = 0; ///< If it went backwards, nothing is decided until it has caught up.
    std::vector<Reading> readings;
};

/// The verdict over all metrics: fail if one fails; pass if all pass; else open.
struct Judgement {
    Verdict verdict = Verdict::not_enough_evidence;
    std::uint32_t looks = 0; ///< Intervals closed so far.
    std::uint32_t looks_max = 0;
    std::uint64_t late = 0;        ///< Readings too late to count.
    std::uint64_t unknown = 0;     ///< Readings of no host or metric of the plan, or no numbers.
    std::vector<Finding> findings; ///< In the plan's order.
};
/// One JSON object of at most about 1 KiB a metric; numbers that are not there are null.
[[nodiscard]] std::string to_json(const Judgement& judgement);
/// One sentence for a person: what decided, the value, the limit.
[[nodiscard]] std::string sentence(const Judgement& judgement);

/// Before the first look. The plan must have passed check().
[[nodiscard]] State begin(const Plan& plan);

/// Takes in a look and judges. Pure: no clock, no randomness, no I/O, no threads; the same looks
/// give the same verdicts, in one run or with encode() and decode() between any two. A repeated
/// reading changes nothing. The first pass or fail is final and keeps the evidence of its moment.
/// `state` must be of this plan. Cost: some microseconds for a host and metric.
[[nodiscard]] Judgement look(const Plan& plan, State& state, const Look& look);

/// The state's bytes: a version, a digest of the plan, numbers. At most about 300 bytes for a host
/// and metric.
[[nodiscard]] Bytes encode(const Plan& plan, const State& state);
/// Error: verification_failed if the bytes are damaged, of another plan or of a newer version.
[[nodiscard]] Result<State> decode(const Plan& plan, ByteSpan bytes);

} // namespace slipway::orchestrator::judge
