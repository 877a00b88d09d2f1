#pragma once

namespace slipway::agent {

/// Has the calling thread, and those that it starts, give way to what the host is for: nice 10, and
/// the lowest of the best-effort classes for the disk. Where that is not allowed (the unit says how
/// much the agent weighs, then) nothing happens. Never for a thread that starts hooks or commands:
/// they would inherit it.
void lower_priority();

} // namespace slipway::agent
