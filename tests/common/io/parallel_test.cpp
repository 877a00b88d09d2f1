#include "common/io/parallel.h"

#include <catch2/catch.hpp>

#include <atomic>
#include <vector>

#include "common/core/errc.h"

namespace slipway {

TEST_CASE("parallel_for: every index is visited exactly once", "[parallel]") {
    std::vector<std::atomic<int>> visits(1'000);
    REQUIRE(parallel_for(visits.size(), 4, {}, [&](std::size_t i) -> Result<> {
        ++visits[i];
        return {};
    }));
    CHECK(std::ranges::all_of(visits, [](const auto& n) { return n == 1; }));
    CHECK(parallel_for(0, 4, {}, [](std::size_t) -> Result<> { return {}; }));
}

TEST_CASE("parallel_for: the first failing index is reported and the rest is not started",
          "[parallel]") {
    std::atomic<int> calls{0};
    const auto result = parallel_for(100'000, 4, {}, [&](std::size_t i) -> Result<> {
        ++calls;
        if (i >= 10) {
            return fail(Errc::failed, "item " + std::to_string(i));
        }
        return {};
    });
    REQUIRE_FALSE(result);
    CHECK(result.error().context == "item 10");
    CHECK(calls < 100);
}

TEST_CASE("parallel_for: a stop request ends it", "[parallel]") {
    std::stop_source stop;
    const auto result = parallel_for(100'000, 2, stop.get_token(), [&](std::size_t) -> Result<> {
        stop.request_stop();
        return {};
    });
    REQUIRE_FALSE(result);
    CHECK(result.error().code == Errc::cancelled);
}

} // namespace slipway
