#pragma once

#include <vector>

#include "common/core/bytes.h"
#include "common/delta/address_map.h"

namespace slipway {

/// Runs shorter than this cost more than they save; the decoder bounds their number by it.
inline constexpr std::size_t copy_run_bytes_min = 16;

/// Finds the runs of `base` that stand in `raw` again with small differences, in order of `raw` and
/// without overlap there. Memory: 128 MiB of tables at most. Both below 2 GiB.
[[nodiscard]] std::vector<CopyRun> match_runs(ByteSpan raw, ByteSpan base);

} // namespace slipway
