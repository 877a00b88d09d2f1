#pragma once

#include <cstdint>
#include <string>

#include "common/core/result.h"

namespace slipway::agent {

/// Makes the empty file `to` hold the first `bytes` of `from`: shares the blocks where the file
/// system can (FICLONE), else lets the kernel copy, else copies. `name` is for errors. A source
/// that is shorter gives a shorter copy: the caller verifies.
[[nodiscard]] Result<> clone_or_copy(int from, int to, std::uint64_t bytes,
                                     const std::string& name);

} // namespace slipway::agent
