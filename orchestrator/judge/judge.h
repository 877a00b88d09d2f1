#pragma once

// The judge of canaries. docs/judge.md says how it judges; 0130 why so.

#include <cstdint>
#include <string>
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
    std::uint64_t at_ms = 0;     ///< When it was taken; one that is not later than the last before
                                 ///< is as good as none.
    std::uint64_t running_s = 0; ///< How long the host's release had been running then.
    std::uint64_t process = 0;   ///< Another number: its counters began anew. 0: not known.
    double amount = no_number;   ///< Kind::value: the value. Kind::count: the events.
    double exposure = no_number; ///< Kind::count: what the events are among: requests, seconds.
    std::vector<double> buckets{}; ///< Kind::quantile: samples in each bucket, not summed up.
};

/// The verdict over all metrics: fail if one fails; pass if all pass; else open.
struct Judgement {
    Verdict verdict = Verdict::not_enough_evidence;
    std::uint32_t looks = 0;
    std::vector<Finding> findings; ///< In the plan's order.
};
/// One sentence for a person: what decided, the numbers, the limit. At most about 900 bytes.
[[nodiscard]] std::string sentence(const Judgement& judgement);

/// Before the first look. The plan must have passed check().
[[nodiscard]] State begin(const Plan& plan);

/// Takes in what came since the look before, and judges. To be called in even intervals; hosts that
/// said nothing have no reading. Pure: no clock, no randomness, no I/O, no threads; the same looks
/// give the same verdicts, in one run or with encode() and decode() between any two. A fail is
/// final and keeps the evidence of its moment; a pass is of this look. `state` must be of this
/// plan. Cost: about a microsecond for a host and metric.
[[nodiscard]] Judgement look(const Plan& plan, State& state, const std::vector<Reading>& readings);

/// The state's bytes: a version, a digest of the plan, numbers. At most about 100 bytes for a host
/// and metric, and 8 for each bucket.
[[nodiscard]] Bytes encode(const Plan& plan, const State& state);
/// Error: Errc::verification_failed if the bytes are damaged, of another plan or of another
/// version.
[[nodiscard]] Result<State> decode(const Plan& plan, ByteSpan bytes);

} // namespace slipway::orchestrator::judge
