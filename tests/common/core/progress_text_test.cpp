#include "common/core/progress_text.h"

#include <catch2/catch.hpp>

namespace slipway {
using std::chrono::milliseconds;

TEST_CASE("human_bytes and human_duration: units change where a reader expects", "[progress]") {
    CHECK(human_bytes(0) == "0 B");
    CHECK(human_bytes(1023) == "1023 B");
    CHECK(human_bytes(1536) == "1.5 KiB");
    CHECK(human_bytes(1024 * 1024 - 1) == "1.0 MiB");
    CHECK(human_bytes(UINT64_MAX) == "16.0 EiB");
    CHECK(human_duration(milliseconds(3'210)) == "3.2 s");
    CHECK(human_duration(milliseconds(123'000)) == "2:03");
    CHECK(human_duration(milliseconds(3'723'000)) == "1:02:03");
}

TEST_CASE("progress: share, rate and time left", "[progress]") {
    const PhaseProgress half{.name = "fetch",
                             .done_bytes = 10 << 20,
                             .total_bytes = 20 << 20,
                             .elapsed = milliseconds(2'000)};
    CHECK(progress_bar(half, 10) ==
          "fetch    [=====>    ]  50%  10.0 MiB of 20.0 MiB  5.0 MiB/s  2.0 s left");
    CHECK(progress_line(half, true) ==
          "fetch:  50%  10.0 MiB of 20.0 MiB  5.0 MiB/s  2.0 s left  in 2.0 s");
}

TEST_CASE("progress: more than announced, nothing known, nothing done", "[progress]") {
    PhaseProgress phase{.name = "verify", .done_bytes = 30, .total_bytes = 20};
    CHECK(progress_bar(phase, 4).find("[====] 100%") != std::string::npos);
    phase = {.name = "switch", .elapsed = milliseconds(40)};
    CHECK(progress_line(phase, true) == "switch: done in 0.0 s");
}

} // namespace slipway
