#pragma once

#include "orchestrator/io/sql.h"

namespace slipway::orchestrator {

/// The one clock that all orchestrators of a database read: PostgreSQL's server clock; with SQLite,
/// where they all run on one machine, the time since that machine booted. Setting a host's clock
/// moves neither.
struct LeaseTime {
    std::int64_t ms = 0;
    std::string clock;      ///< Times of two clocks (two boots) are never compared.
    std::int64_t unix_ms{}; ///< Wall time: a new token is not below it.
};
[[nodiscard]] Result<LeaseTime> lease_time(Sql& sql);

} // namespace slipway::orchestrator
