#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace slipway {

/// "1.5 GiB", "23 KiB", "7 B".
[[nodiscard]] std::string human_bytes(std::uint64_t bytes);
/// "1:02:03", "2:03", "3.2 s".
[[nodiscard]] std::string human_duration(std::chrono::milliseconds duration);

/// How far one phase of long work is.
struct PhaseProgress {
    std::string name;
    std::uint64_t done_bytes = 0;
    std::uint64_t total_bytes = 0; ///< 0: not known.
    std::chrono::milliseconds elapsed{0};
};

/// "fetch   [=====>    ]  52%  12.0 MiB of 23.0 MiB  31.2 MiB/s  0.4 s left", `width` cells of bar.
[[nodiscard]] std::string progress_bar(const PhaseProgress& phase, unsigned width);
/// The same facts as a plain line; `last`: the phase is over, so it says how long it took.
[[nodiscard]] std::string progress_line(const PhaseProgress& phase, bool last);

} // namespace slipway
