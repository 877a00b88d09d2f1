#include "agent/core/pack_quota.h"

#include <algorithm>

#include <catch2/catch.hpp>
#include <rapidcheck.h>

namespace slipway::agent {
namespace {

using Names = std::vector<std::string>;

TEST_CASE("packs_to_evict: the longest unused go, no more than needed", "[quota]") {
    const std::vector<KeptPack> packs{{"new", 10, 300}, {"old", 10, 100}, {"middle", 10, 200}};
    CHECK(packs_to_evict(packs, {}, 30).empty());
    CHECK(packs_to_evict(packs, {}, 29) == Names{"old"});
    CHECK(packs_to_evict(packs, {}, 19) == Names{"old", "middle"});
    CHECK(packs_to_evict(packs, {}, 0).empty()); // No quota.
}

TEST_CASE("packs_to_evict: what a release needs stays, even over the quota", "[quota]") {
    const std::vector<KeptPack> packs{{"a", 50, 1}, {"b", 50, 2}, {"c", 50, 3}};
    CHECK(packs_to_evict(packs, {"a", "b"}, 10) == Names{"c"});
    CHECK(packs_to_evict(packs, {"a", "b", "c"}, 10).empty());
}

TEST_CASE("packs_to_evict: what was not needed for long goes without a quota", "[quota]") {
    const std::vector<KeptPack> packs{{"a", 50, 1}, {"b", 50, 2}, {"c", 50, 3}};
    CHECK(packs_to_evict(packs, {}, 0, 3) == Names{"a", "b"});
    CHECK(packs_to_evict(packs, {"a"}, 0, 3) == Names{"b"});
    CHECK(packs_to_evict(packs, {}, 50, 2) == Names{"a", "b"}); // And for the quota.
}

TEST_CASE("packs_to_evict: of two of one time the larger goes", "[quota]") {
    CHECK(packs_to_evict({{"small", 1, 5}, {"large", 9, 5}}, {}, 9) == Names{"large"});
}

TEST_CASE("packs_to_evict: for any packs, keeps the quota or only pinned ones", "[quota]") {
    CHECK(rc::check([] {
        const auto sizes =
            *rc::gen::container<std::vector<std::uint8_t>>(rc::gen::arbitrary<std::uint8_t>());
        const auto quota = *rc::gen::inRange<std::uint64_t>(1, 1000);
        std::vector<KeptPack> packs;
        std::set<std::string> pinned;
        for (std::size_t i = 0; i < sizes.size(); ++i) {
            packs.push_back({std::to_string(i), sizes[i], static_cast<std::int64_t>(sizes[i] % 7)});
            if (sizes[i] % 3 == 0) {
                pinned.insert(packs.back().name);
            }
        }
        const auto evicted = packs_to_evict(packs, pinned, quota);
        std::uint64_t left = 0;
        bool only_pinned = true;
        for (const auto& pack : packs) {
            if (std::ranges::count(evicted, pack.name) == 0) {
                left += pack.bytes;
                only_pinned = only_pinned && pinned.contains(pack.name);
            } else {
                RC_ASSERT(!pinned.contains(pack.name));
            }
        }
        RC_ASSERT(left <= quota || only_pinned);
    }));
}

} // namespace
} // namespace slipway::agent
