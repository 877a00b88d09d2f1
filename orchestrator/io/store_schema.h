#pragma once

#include "orchestrator/io/sql.h"

namespace slipway::orchestrator {

/// The schema that this program writes.
inline constexpr std::uint64_t store_schema_version = 1;

/// Makes the tables in an empty database, or migrates older ones, in one transaction. Several
/// processes may do so at once. Errors: StoreErrc::newer_schema; as for Sql::run().
[[nodiscard]] Result<> prepare_schema(Sql& sql);

} // namespace slipway::orchestrator
