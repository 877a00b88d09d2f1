#pragma once

#include "orchestrator/judge/judge.h"

namespace slipway::orchestrator::judge {

/// What a reading says of the time since the host's reading before.
struct Observation {
    enum class Kind : std::uint8_t {
        absent,  ///< Nothing: no number, no news, counters that began anew.
        warming, ///< Nothing yet, and nothing is missing: the first of counters, or warm-up.
        present,
    };
    Kind kind = Kind::absent;
    double amount = 0;   ///< Counts: events; else the value.
    double exposure = 0; ///< Of counts.
};

/// Remembers the reading as the last one in `host`.
[[nodiscard]] Observation observe(const MetricRules& rules, HostState& host,
                                  const Reading& reading);

} // namespace slipway::orchestrator::judge
