#pragma once

#include <cstddef>
#include <functional>
#include <stop_token>

#include "common/core/result.h"

namespace slipway {

/// Workers for hashing and compression: one per core, 64 at most.
[[nodiscard]] unsigned worker_count();

/// Calls `work(i)` for every i below `count` on `workers` threads, in about increasing order of i.
/// After the first failure no further call starts; gives the failure with the lowest i.
/// A stop request ends it with Errc::cancelled. Blocking.
[[nodiscard]] Result<> parallel_for(std::size_t count, unsigned workers, std::stop_token stop,
                                    const std::function<Result<>(std::size_t)>& work);

} // namespace slipway
