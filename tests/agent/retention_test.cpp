#include "agent/core/retention.h"

#include <catch2/catch.hpp>

namespace slipway::agent {
namespace {

ReleaseId id(int number) {
    return {std::to_string(number) + "-0123456789ab"};
}

} // namespace

TEST_CASE("retention: current and previous stay, then what a rollback reaches, then the newest",
          "[retention]") {
    History history;
    for (const int number : {1, 2, 3, 4}) {
        history.activations.push_back({id(number), ""});
    }
    const std::vector<InstalledRelease> installed = {
        {id(1), "2026-01-01"}, {id(2), "2026-01-02"}, {id(3), "2026-01-03"},
        {id(4), "2026-01-04"}, {id(5), "2026-01-05"}, {id(6), "2026-01-06"},
    };
    using Set = std::set<ReleaseId>;
    CHECK(releases_to_keep(history, installed, 0) == Set{id(3), id(4)});
    CHECK(releases_to_keep(history, installed, 1) == Set{id(2), id(3), id(4)});
    CHECK(releases_to_keep(history, installed, 3) == Set{id(1), id(2), id(3), id(4), id(6)});
    CHECK(releases_to_keep(history, installed, 99).size() == 6);
    CHECK(releases_to_keep({}, installed, 0).empty());
    // What somebody needs is kept beside, and takes the place of no other.
    CHECK(releases_to_keep(history, installed, 0, {id(1), id(6)}) ==
          Set{id(1), id(3), id(4), id(6)});
    CHECK(releases_to_keep(history, installed, 1, {id(1)}) == Set{id(1), id(2), id(3), id(4)});
}

} // namespace slipway::agent
